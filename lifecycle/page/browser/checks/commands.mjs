// A click is a command, and what comes of it is seen without a reload.

import assert from "node:assert/strict";
import { eventually } from "./visit.mjs";

export default function (check) {
  check("a click on pause pauses, live", { scene: "clicked" }, async (page, visit) => {
    const pill = visit.pipe().locator(".head .pill").first();
    const button = (name) => visit.pipe().locator(".head").getByRole("button", { name, exact: true });
    await button("Pause").click();
    await eventually(async () => assert.match((await visit.api("/v1/pipes/shop")).phase, /^paus/));
    // The click's own answer cannot tell of the end of pausing: the stream does.
    await eventually(async () => assert.equal(await pill.textContent(), "paused"));
    assert.equal((await visit.api("/v1/pipes/shop")).phase, "paused");
    await visit.pipe().getByRole("img", { name: /the pipe is paused, coming from running/ }).waitFor();

    // The other way round: somebody else's command, at the API, is seen here.
    await visit.api("/v1/pipes/shop/resume", { method: "POST" });
    await eventually(async () => assert.equal(await pill.textContent(), "running"));
    await button("Pause").waitFor();
    assert.equal(visit.requests.filter((r) => r.isNavigationRequest()).length, 1, "the page was not loaded again");
  });

  check("a resync is asked about first", { scene: "asked" }, async (page, visit) => {
    const sent = () => visit.requests.filter((r) => r.method() === "POST").map((r) => decodeURIComponent(new URL(r.url()).pathname));
    const dialog = page.getByRole("dialog");
    const resync = visit.pipe().locator(".head").getByRole("button", { name: "Resync", exact: true });

    await resync.click();
    await dialog.waitFor();
    assert.match(await dialog.innerText(), /every table of shop/);
    await visit.screenshot("resync asked light 1280");
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await dialog.waitFor({ state: "hidden" });
    await resync.click();
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });
    assert.deepEqual(sent(), []);

    await visit.pipe().getByRole("button", { name: "Resync public.orders", exact: true }).click();
    assert.match(await dialog.innerText(), /public\.orders/);
    await dialog.getByRole("button", { name: "Resync" }).click();
    await eventually(async () => assert.deepEqual((await visit.api("/v1/pipes/shop")).resync, ["public.orders"]));
    await visit.pipe().locator(".row").filter({ hasText: "public.orders" }).getByText("resync asked").waitFor();

    await resync.click();
    await dialog.getByRole("button", { name: "Resync" }).click();
    await eventually(async () => {
      const { resync, tables } = await visit.api("/v1/pipes/shop");
      assert.deepEqual(resync.sort(), tables.map((t) => t.name).sort());
    });
    assert.deepEqual(sent(), ["/v1/pipes/shop/tables/public.orders/resync", "/v1/pipes/shop/resync"]);
  });

  check("a refusal is shown with what to do", { scene: "running" }, async (page, visit) => {
    await page.route("**/pause", (route) => route.fulfill({ status: 409, json: { error: "cannot pause now", fix: "try later" } }));
    await visit.pipe().getByRole("button", { name: "Pause" }).click();
    await page.getByText("cannot pause now: try later").waitFor();
    assert.ok(await visit.pipe().getByRole("button", { name: "Pause" }).isEnabled());
    visit.expectNoise(/409/);
  });
}
