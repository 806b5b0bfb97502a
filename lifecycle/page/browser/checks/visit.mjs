// A visit to the page of one scene, by a browser that remembers nothing.

import assert from "node:assert/strict";
import { join } from "node:path";

const patience = 30000; // ms; a machine may be busy with other tests

export class Visit {
  static async open(browser, config, { scene, narrow = false, dark = false, stay = false }) {
    const context = await browser.newContext({
      viewport: narrow ? { width: 390, height: 844 } : { width: 1280, height: 900 },
      colorScheme: dark ? "dark" : "light",
      reducedMotion: "reduce",
    });
    context.setDefaultTimeout(patience);
    const visit = new Visit(context, await context.newPage(), config, scene);
    if (!stay) await visit.page.goto(visit.url);
    return visit;
  }

  constructor(context, page, config, scene) {
    this.context = context;
    this.page = page;
    this.config = config;
    this.url = config.scenes[scene];
    this.noise = []; // what a page that is well does not do
    this.requests = [];
    assert.ok(this.url, "there is a scene " + scene);
    page.on("pageerror", (e) => this.noise.push("an error: " + e));
    page.on("console", (m) => { if (["error", "warning"].includes(m.type())) this.noise.push("console: " + m.text()); });
    page.on("dialog", (d) => { this.noise.push("a dialog: " + d.message()); d.dismiss(); });
    page.on("request", (r) => {
      this.requests.push(r);
      if (!r.url().startsWith(this.url + "/") && !r.url().startsWith("data:")) this.noise.push("a request to " + r.url());
    });
  }

  // assertQuiet: no script failed, none of another's ran, nothing was fetched
  // from elsewhere. The console says when the policy stopped something.
  assertQuiet() {
    assert.deepEqual(this.noise, []);
  }

  // expectNoise takes out what a check brought about.
  expectNoise(pattern) {
    this.noise = this.noise.filter((n) => !pattern.test(n));
  }

  async api(path, options) {
    const answer = await fetch(this.url + path, options);
    assert.ok(answer.ok, `${path} answers ${answer.status}`);
    return answer.json();
  }

  pipe(name = "shop") {
    return this.page.getByRole("article", { name: "Pipe " + name, exact: true });
  }

  async screenshot(name) {
    if (!this.config.screenshots) return;
    await this.page.screenshot({ path: join(this.config.screenshots, name.replace(/[^\w]+/g, "-") + ".png"), fullPage: true });
  }

  async close() {
    await this.context.close();
  }
}

// eventually waits until what() no longer throws, and throws what it threw last.
export async function eventually(what) {
  for (const end = Date.now() + patience; ; ) {
    try {
      return await what();
    } catch (e) {
      if (Date.now() > end) throw e;
    }
    await new Promise((again) => setTimeout(again, 50));
  }
}
