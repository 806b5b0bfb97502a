// Runs every check in one browser and writes a line {"check", "error"} for each.
// The configuration is one line of JSON on standard input, which then stays open
// for as long as somebody wants the outcome.

import { createInterface } from "node:readline";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Visit } from "./visit.mjs";
import phases from "./phases.mjs";
import details from "./details.mjs";
import commands from "./commands.mjs";
import access from "./access.mjs";
import looks from "./looks.mjs";

const atOnce = 4; // checks mostly wait
const input = createInterface({ input: process.stdin });
const config = JSON.parse(await new Promise((line) => input.once("line", line)));
input.on("close", () => process.exit(1));

const { chromium } = await import(pathToFileURL(join(config.playwright, "index.mjs")));
const browser = await chromium.launch({
  executablePath: config.chromium,
  headless: true,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
  ],
});

const queue = [];
// check names what must be so. How a page is visited: scene, narrow, dark.
const check = (name, how, what) => queue.push({ name, how, what });
for (const register of [phases, details, commands, access, looks]) await register(check, config);

async function work() {
  for (let next; (next = queue.shift()); ) {
    const visit = await Visit.open(browser, config, next.how);
    let error = "";
    try {
      await next.what(visit.page, visit);
      visit.assertQuiet();
    } catch (e) {
      error = e.stack || String(e);
      await visit.screenshot("failed " + next.name).catch(() => {});
    }
    await visit.close();
    process.stdout.write(JSON.stringify({ check: next.name, error }) + "\n");
  }
}

await Promise.all(Array.from({ length: atOnce }, work));
await browser.close();
process.exit(0);
