// The same calls with Java's HttpClient, by one way in after the other; see harness/real/compiled.rs.
//
// Environment, with a number from 0 behind each name: BASE, and where there is one AUTHORIZATION, HOST (a Host that is not the URL's), PROXY
// (HOST:PORT). The truststore comes by system properties, as an app has it. Standard output, a line for each way:
// {"client": "java", "version": of HTTP, "results": […]}.

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.WebSocket;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.zip.GZIPInputStream;

public class JavaClient {
    static final Set<String> OWN = Set.of("date", "connection", "keep-alive", "transfer-encoding", "content-length", "server", ":status");
    final String base;
    final String authorization;
    final String host;
    final String proxy;
    final HttpClient client;

    JavaClient(Map<String, String> environment, int number) {
        base = environment.get("BASE" + number);
        authorization = environment.get("AUTHORIZATION" + number);
        host = environment.get("HOST" + number);
        proxy = environment.get("PROXY" + number);
        client = client();
    }

    HttpClient client() {
        var builder = HttpClient.newBuilder().followRedirects(HttpClient.Redirect.NORMAL).connectTimeout(Duration.ofSeconds(30));
        if (proxy != null) {
            var parts = proxy.split(":");
            builder.proxy(ProxySelector.of(new InetSocketAddress(parts[0], Integer.parseInt(parts[1]))));
        }
        return builder.build();
    }

    HttpRequest.Builder request(String method, String path, BodyPublisher body, String... headers) {
        var request = HttpRequest.newBuilder(URI.create(base + path)).method(method, body).timeout(Duration.ofSeconds(30));
        if (authorization != null) {
            request.header("Authorization", authorization);
        }
        if (host != null) {
            request.header("Host", host);
        }
        for (int at = 0; at < headers.length; at += 2) {
            request.header(headers[at], headers[at + 1]);
        }
        return request;
    }

    static String quoted(String text) {
        var out = new StringBuilder("\"");
        for (char letter : text.toCharArray()) {
            out.append(letter < ' ' || letter == '"' || letter == '\\' ? String.format("\\u%04x", (int) letter) : String.valueOf(letter));
        }
        return out.append('"').toString();
    }

    static String result(HttpResponse<byte[]> answer) throws Exception {
        var body = answer.body();
        var headers = new TreeSet<String>();
        answer.headers().map().forEach((name, values) -> values.forEach(value -> {
            if (!OWN.contains(name.toLowerCase())) {
                headers.add("[" + quoted(name.toLowerCase()) + "," + quoted(value) + "]");
            }
        }));
        if (answer.headers().firstValue("content-encoding").orElse("").equals("gzip")) {
            body = new GZIPInputStream(new ByteArrayInputStream(body)).readAllBytes();
        }
        var sum = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(body));
        var text = body.length < 4000 ? quoted(new String(body, StandardCharsets.UTF_8)) : "null";
        return String.format("{\"status\":%d,\"headers\":%s,\"length\":%d,\"sha256\":\"%s\",\"text\":%s}",
                answer.statusCode(), headers, body.length, sum, text);
    }

    /** Each event comes before the next one is sent. */
    String events() throws IOException, InterruptedException {
        var seen = new ArrayList<String>();
        var lines = client.send(request("GET", "/events", BodyPublishers.noBody()).build(), BodyHandlers.ofLines()).body().iterator();
        while (lines.hasNext()) {
            var line = lines.next();
            if (!line.isEmpty()) {
                seen.add(quoted(line));
                client.send(request("POST", "/seen", BodyPublishers.noBody()).build(), BodyHandlers.discarding());
            }
        }
        return "{\"events\":" + seen + "}";
    }

    String webSocket() throws Exception {
        var answer = new CompletableFuture<String>();
        // Not by the client that there is: where that has a connection to a proxy, JDK 17 takes it for a tunnel.
        var builder = client().newWebSocketBuilder();
        if (authorization != null) {
            builder.header("Authorization", authorization);
        }
        if (host != null) {
            builder.header("Host", host);
        }
        var socket = builder.buildAsync(URI.create(base.replaceFirst("http", "ws") + "/ws"), new WebSocket.Listener() {
            final StringBuilder text = new StringBuilder();

            @Override
            public CompletionStage<?> onText(WebSocket socket, CharSequence data, boolean last) {
                text.append(data);
                if (last) {
                    answer.complete(text.toString());
                }
                return WebSocket.Listener.super.onText(socket, data, last);
            }

            @Override
            public void onError(WebSocket socket, Throwable error) {
                answer.completeExceptionally(error);
            }
        }).get(30, TimeUnit.SECONDS);
        socket.sendText("hello ".repeat(10_000), true);
        var turned = new StringBuilder(answer.get(30, TimeUnit.SECONDS)).reverse().toString();
        socket.sendClose(WebSocket.NORMAL_CLOSURE, "").get(30, TimeUnit.SECONDS);
        return "{\"websocket\":" + turned.equals("hello ".repeat(10_000)) + "}";
    }

    String all() throws Exception {
        var noise = "some noise, ".repeat(25_000).getBytes();
        var large = "0123456789abcdef".repeat(1 << 18).getBytes();
        var none = BodyPublishers.noBody();
        var octets = new String[] {"Content-Type", "application/octet-stream"};
        var results = new ArrayList<String>();
        var version = "";
        for (var next : List.of(
                request("GET", "/echo?q=a%20b&q=c+d&empty=&x=%2F%3F", none),
                request("GET", "/echo/a%2Fb/%C3%A9;p=1/~x", none, "X-Own", "mine"),
                request("POST", "/echo", BodyPublishers.ofByteArray(noise), octets),
                // Without a length.
                request("POST", "/echo", BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(noise)), octets),
                request("POST", "/echo", BodyPublishers.ofByteArray(large), octets),
                request("POST", "/echo", BodyPublishers.ofByteArray(noise), octets).expectContinue(true),
                request("PUT", "/echo", none, "Content-Type", "text/plain"),
                request("HEAD", "/echo", none),
                request("PATCH", "/echo", BodyPublishers.ofString("{\"a\": 1}"), "Content-Type", "application/json"),
                request("DELETE", "/none", none),
                request("GET", "/gzip", none, "Accept-Encoding", "gzip"),
                request("GET", "/large", none),
                request("GET", "/range", none, "Range", "bytes=100-1999"),
                request("GET", "/redirect", none))) {
            var answer = client.send(next.build(), BodyHandlers.ofByteArray());
            results.add(result(answer));
            version = answer.version().toString();
        }
        results.add(events());
        results.add(webSocket());
        return "{\"client\":\"java\",\"version\":\"" + version + "\",\"results\":" + results + "}";
    }

    public static void main(String[] arguments) throws Exception {
        for (int number = 0; System.getenv("BASE" + number) != null; number++) {
            System.out.println(new JavaClient(System.getenv(), number).all());
        }
        System.exit(0);
    }
}
