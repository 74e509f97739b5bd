// The same calls with Go's net/http, by one way in; see harness/real/compiled.rs.
//
// Environment: BASE, and where there is one AUTHORIZATION, HOST (a Host that is not the URL's), SOCKET (a Unix socket), RESOLVE (the address
// of every host). Proxies and CAs come by the environment as well, as an app has them. Standard output: {"client": "go", "version": of HTTP, "results": […]}.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sort"
	"strings"
)

var (
	base   = os.Getenv("BASE")
	client = &http.Client{Transport: transport(), CheckRedirect: func(next *http.Request, _ []*http.Request) error {
		// It names the URL that was asked, which is another one by every way.
		next.Header.Del("Referer")
		return nil
	}}
	own = map[string]bool{"date": true, "connection": true, "keep-alive": true, "transfer-encoding": true, "content-length": true, "server": true}
)

func transport() *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	dialer := net.Dialer{}
	if socket := os.Getenv("SOCKET"); socket != "" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		}
	}
	if address := os.Getenv("RESOLVE"); address != "" {
		transport.DialContext = func(ctx context.Context, network, target string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(target)
			if err != nil {
				return nil, err
			}
			return dialer.DialContext(ctx, network, net.JoinHostPort(address, port))
		}
	}
	return transport
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func request(method, path string, body io.Reader, headers ...string) *http.Request {
	request, err := http.NewRequest(method, base+path, body)
	check(err)
	request.Header.Set("User-Agent", "go")
	if authorization := os.Getenv("AUTHORIZATION"); authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	if host := os.Getenv("HOST"); host != "" {
		request.Host = host
	}
	for at := 0; at < len(headers); at += 2 {
		request.Header.Set(headers[at], headers[at+1])
	}
	return request
}

func call(request *http.Request) (map[string]any, string) {
	answer, err := client.Do(request)
	check(err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	check(err)
	headers := [][]string{}
	for name, values := range answer.Header {
		for _, value := range values {
			if !own[strings.ToLower(name)] {
				headers = append(headers, []string{strings.ToLower(name), value})
			}
		}
	}
	sort.Slice(headers, func(a, b int) bool { return fmt.Sprint(headers[a]) < fmt.Sprint(headers[b]) })
	sum := sha256.Sum256(body)
	result := map[string]any{"status": answer.StatusCode, "headers": headers, "length": len(body), "sha256": hex.EncodeToString(sum[:])}
	if len(body) < 4000 {
		result["text"] = string(body)
	}
	return result, answer.Proto
}

// Each event comes before the next one is sent.
func events() []string {
	answer, err := client.Do(request("GET", "/events", nil))
	check(err)
	defer answer.Body.Close()
	seen := []string{}
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if line := lines.Text(); line != "" {
			seen = append(seen, line)
			call(request("POST", "/seen", nil))
		}
	}
	return seen
}

func main() {
	noise := bytes.Repeat([]byte("some noise, "), 25_000)
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	octets := []string{"Content-Type", "application/octet-stream"}
	results := []any{}
	version := ""
	for _, next := range []*http.Request{
		request("GET", "/echo?q=a%20b&q=c+d&empty=&x=%2F%3F", nil),
		request("GET", "/echo/a%2Fb/%C3%A9;p=1/~x", nil, "X-Own", "mine"),
		request("POST", "/echo", bytes.NewReader(noise), octets...),
		// Without a length.
		request("POST", "/echo", io.MultiReader(bytes.NewReader(noise), strings.NewReader("and more")), octets...),
		request("POST", "/echo", bytes.NewReader(large), octets...),
		request("PUT", "/echo", http.NoBody, "Content-Type", "text/plain"),
		request("HEAD", "/echo", nil),
		request("PATCH", "/echo", strings.NewReader(`{"a": 1}`), "Content-Type", "application/json"),
		request("DELETE", "/none", nil),
		request("GET", "/gzip", nil),
		request("GET", "/large", nil),
		request("GET", "/range", nil, "Range", "bytes=100-1999"),
		request("GET", "/redirect", nil),
	} {
		result, proto := call(next)
		results, version = append(results, result), proto
	}
	results = append(results, map[string]any{"events": events()})
	check(json.NewEncoder(os.Stdout).Encode(map[string]any{"client": "go", "version": version, "results": results}))
}
