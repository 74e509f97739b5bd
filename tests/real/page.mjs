// A real browser that does as it is told: one command a line on standard input, one answer a line on standard output.
// { op, … } -> { ok: value } or { error: text }. What the page says and asks for is kept for `said`.
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
});
let page;
let said = [];

const operations = {
  async open({ url, dark, width, height }) {
    const context = await browser.newContext({
      colorScheme: dark ? 'dark' : 'light', viewport: { width, height }, reducedMotion: 'reduce', serviceWorkers: 'block',
    });
    page = await context.newPage();
    page.setDefaultTimeout(20_000);
    page.on('console', (message) => { if (message.type() !== 'log') said.push(`console ${message.type()}: ${message.text()}`); });
    page.on('pageerror', (error) => said.push(`error: ${error}`));
    page.on('dialog', (dialog) => { said.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
    page.on('request', (request) => { if (!request.url().startsWith(new URL(url).origin)) said.push(`request: ${request.url()}`); });
    const response = await page.goto(url);
    return { status: response.status(), headers: response.headers() };
  },
  eval: ({ js }) => page.evaluate(js),
  // Not waitForFunction: the page's policy forbids the eval that it is made of.
  async wait({ js }) {
    for (let tries = 0; !(await page.evaluate(js)); tries++) {
      if (tries === 300) throw new Error(`not so after 30 s; the page:\n${await page.evaluate('document.body.innerText')}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  },
  click: ({ selector }) => page.click(selector),
  fill: ({ selector, text }) => page.fill(selector, text),
  select: ({ selector, value }) => page.selectOption(selector, value),
  type: ({ text }) => page.keyboard.type(text),
  press: ({ key }) => page.keyboard.press(key),
  tree: () => page.locator('body').ariaSnapshot(),
  async screenshot({ path }) { await page.screenshot({ path, fullPage: true }); },
  said: () => said.splice(0),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { op, ...rest } = JSON.parse(line);
  try {
    process.stdout.write(`${JSON.stringify({ ok: (await operations[op](rest)) ?? null })}\n`);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ error: `${op}: ${error}` })}\n`);
  }
}
await browser.close();
