//! `jose` and OpenSSL: signatures verified by independent libraries, and keys as operators generate them.

use std::process::Command;

use serde_json::{Value, json};

use super::super::process::run;
use super::{installed, tool};

/// Verifies a JWT with the key (a private key in PEM, or a shared secret) and these options of `jwtVerify`.
/// Gives the `header` and the `claims`; the test fails if `jose` rejects the token.
pub async fn jose_verify(token: &str, key: &str, algorithm: &str, options: &Value) -> Value {
    installed("node_modules/jose");
    let script = "
        import { createPublicKey } from 'node:crypto';
        import { jwtVerify } from 'jose';
        const { token, key, algorithm, options } = JSON.parse(await new Response(process.stdin).text());
        const bytes = algorithm.startsWith('HS') ? new TextEncoder().encode(key) : createPublicKey(key);
        const { payload, protectedHeader } = await jwtVerify(token, bytes, { algorithms: [algorithm], ...options });
        console.log(JSON.stringify({ header: protectedHeader, claims: payload }));";
    let mut command = Command::new(tool("node"));
    command.args(["--input-type=module", "-e", script]);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"));
    let input = json!({ "token": token, "key": key, "algorithm": algorithm, "options": options });
    let output = run(command, input.to_string().as_bytes()).await;
    assert!(output.status.success(), "jose rejects it: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A JWT that `jose` signs with this private key in PEM. `iat` is that of now, and `exp` is `seconds` later.
pub async fn jose_sign(claims: &Value, key: &str, algorithm: &str, seconds: i64) -> String {
    installed("node_modules/jose");
    let script = "
        import { createPrivateKey } from 'node:crypto';
        import { SignJWT } from 'jose';
        const { claims, key, algorithm, seconds } = JSON.parse(await new Response(process.stdin).text());
        const now = Math.floor(Date.now() / 1000);
        const token = new SignJWT(claims).setProtectedHeader({ alg: algorithm, kid: 'key-1' });
        console.log(await token.setIssuedAt(now).setExpirationTime(now + seconds).sign(createPrivateKey(key)));";
    let mut command = Command::new(tool("node"));
    command.args(["--input-type=module", "-e", script]);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"));
    let input = json!({ "claims": claims, "key": key, "algorithm": algorithm, "seconds": seconds });
    let output = run(command, input.to_string().as_bytes()).await;
    assert!(output.status.success(), "jose does not sign: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The output of `openssl` with these arguments (no spaces within one).
pub async fn openssl(arguments: &str) -> String {
    let mut command = Command::new(tool("openssl"));
    command.args(arguments.split(' '));
    let output = run(command, b"").await;
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
