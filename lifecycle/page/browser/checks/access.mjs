// The token is asked for once, and a connection that is lost is found again.

import assert from "node:assert/strict";
import { eventually } from "./visit.mjs";

export default function (check, config) {
  check("the token is asked for once", { scene: "locked" }, async (page, visit) => {
    const field = page.getByLabel("Token");
    const enter = async (text) => {
      await field.fill(text);
      await page.getByRole("button", { name: "Open" }).click();
    };
    await field.waitFor();
    assert.equal(await page.getByRole("article").count(), 0, "nothing is shown before");
    await visit.screenshot("token light 1280");
    await enter("wrong");
    await page.getByText("That is not the token.").waitFor();
    assert.equal(await page.getByRole("article").count(), 0);
    await enter(config.token);
    await visit.pipe().waitFor();
    assert.equal(await field.isVisible(), false);

    await visit.pipe().getByRole("button", { name: "Pause" }).click();
    await eventually(async () => assert.equal(await visit.pipe().locator(".pill").first().textContent(), "paused"));
    await page.reload();
    await visit.pipe().waitFor();
    assert.equal(await field.isVisible(), false);
    for (const r of visit.requests) assert.ok(!decodeURIComponent(r.url()).includes(config.token), "the token is in an address");
    visit.expectNoise(/401/);
  });

  check("a lost connection is said and found again", { scene: "paused", stay: true }, async (page, visit) => {
    await page.route("**/v1/events", (route) => route.abort());
    await page.goto(visit.url);
    const live = page.locator("#live");
    await eventually(async () => assert.match(await live.innerText(), /not connected/));
    await page.unroute("**/v1/events");
    await visit.pipe().waitFor();
    await eventually(async () => assert.equal(await live.innerText(), "live"));
    visit.expectNoise(/ERR_FAILED/);
  });
}
