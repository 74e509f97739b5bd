// A person at a browser: goes to the address, logs in as alice, agrees to everything, and ends where the provider sends
// them, on this machine. Fills in any form: a user name, a password, a code (the second argument).
let [url, code] = process.argv.slice(2);
const home = new URL(url).origin;
const jar = new Map();
let form;
for (let step = 0; step < 20; step++) {
  const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
  const method = form ? 'POST' : 'GET';
  const response = await fetch(url, { method, body: form, redirect: 'manual', headers: { cookie } });
  for (const line of response.headers.getSetCookie()) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
    if (value) jar.set(name, value); else jar.delete(name);
  }
  form = undefined;
  const to = response.headers.get('location');
  if (to) {
    url = new URL(to, url).href;
    if (new URL(url).origin === home) continue;
    const last = await fetch(url);
    console.log('ended with', last.status);
    process.exit(0);
  }
  const page = await response.text();
  const found = /<form[^>]*action="([^"]*)"[^>]*>([\s\S]*?)<\/form>/.exec(page);
  if (response.status !== 200) throw new Error(`${response.status} at ${url.split('?')[0]}: ${page}`);
  if (!found) {
    console.log('ended with a page');
    process.exit(0);
  }
  form = new URLSearchParams();
  for (const [input] of found[2].matchAll(/<(?:input|button)[^>]*>/g)) {
    const name = /name="([^"]*)"/.exec(input)?.[1];
    const value = /value="([^"]*)"/.exec(input)?.[1] ?? '';
    if (name && name !== 'abort') form.set(name, { login: 'alice', password: 'any', user_code: code }[name] ?? value);
  }
  url = new URL(found[1].replaceAll('&amp;', '&'), url).href;
}
throw new Error('no end in sight');
