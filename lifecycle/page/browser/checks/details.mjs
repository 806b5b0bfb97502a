// What a page says beside the phase: failures, trouble, tables, loads, charts.

import assert from "node:assert/strict";
import { eventually } from "./visit.mjs";

// plain is a sentence without the backticks around names of fields.
const plain = (text) => text.replaceAll("`", "");

export default function (check) {
  check("a failure is shown with its fix", { scene: "failed" }, async (page, visit) => {
    const { failure } = await visit.api("/v1/pipes/shop");
    const alert = visit.pipe().getByRole("alert");
    await alert.waitFor();
    const text = await alert.innerText();
    assert.ok(failure.reason && text.includes(plain(failure.reason)), text);
    assert.ok(failure.fix && text.includes(plain(failure.fix)), text);
    assert.ok(text.includes(failure.class), text);
  });

  check("trouble that passes is shown as such", { scene: "degraded" }, async (page, visit) => {
    const { degraded, phase } = await visit.api("/v1/pipes/shop");
    const banner = visit.pipe().getByRole("status");
    await banner.waitFor();
    const text = await banner.innerText();
    assert.ok(text.includes(degraded[0].reason) && text.includes("destination"), text);
    assert.equal(phase, "running");
    assert.ok(await visit.pipe().getByText("degraded", { exact: true }).isVisible());
    assert.equal(await visit.pipe().getByRole("alert").count(), 0);
    await visit.screenshot("degraded light 1280");
  });

  check("a failed table is shown with its fix", { scene: "danger" }, async (page, visit) => {
    const { tables } = await visit.api("/v1/pipes/shop");
    const failed = tables.find((t) => t.failure);
    const row = visit.pipe().locator(".row").filter({ hasText: plain(failed.failure.reason) });
    assert.match(await row.innerText(), /failed/);
    assert.ok((await row.innerText()).includes(plain(failed.failure.fix)));
    assert.equal(await visit.pipe().locator(".row").first().innerText(), await row.innerText(), "it comes first");
    await visit.screenshot("danger light 1280");
  });

  check("the time to the loss of the slot is shown", { scene: "danger" }, async (page, visit) => {
    await eventually(async () => {
      assert.ok((await visit.api("/v1/pipes/shop")).slot.seconds_to_loss > 0);
      assert.match(await visit.pipe().locator(".tile").last().innerText(), /lost in .*\d+ (s|min|h|d)/);
    });
  });

  check("tables are shown with their progress", { scene: "snapshot" }, async (page, visit) => {
    const { tables } = await visit.api("/v1/pipes/shop");
    const rows = visit.pipe().locator(".row");
    await rows.first().waitFor();
    const names = await rows.locator(".table").allTextContents();
    assert.deepEqual(names.sort(), tables.map((t) => t.name).sort());
    const loading = tables.filter((t) => t.phase === "snapshot" && t.chunks_done > 0);
    assert.ok(loading.length > 1);
    for (const t of loading) {
      const bar = visit.pipe().getByRole("progressbar", { name: "Load of " + t.name, exact: true });
      assert.equal(Number(await bar.getAttribute("aria-valuenow")), Math.round((100 * t.chunks_done) / t.chunks_total));
      assert.ok(await bar.isVisible());
    }
    const all = visit.pipe().getByRole("progressbar", { name: "Load of all tables" });
    const now = Number(await all.getAttribute("aria-valuenow"));
    assert.ok(now > 0 && now < 100, "the whole load is at " + now);
  });

  check("charts tell the value under the pointer", { scene: "running" }, async (page, visit) => {
    const tile = visit.pipe().locator(".tile").first();
    await eventually(async () => assert.match((await tile.locator(".edge").getAttribute("d")) || "", /L/));
    const box = await tile.locator(".spark").boundingBox();
    await page.mouse.move(box.x + box.width - 1, box.y + box.height / 2);
    await eventually(async () => assert.match(await tile.locator(".now").innerText(), /\/s.*ago/));
    await page.mouse.move(1, 1);
    await eventually(async () => assert.doesNotMatch(await tile.locator(".now").innerText(), /ago/));
  });

  check("names of tables are text and nothing else", { scene: "hostile" }, async (page, visit) => {
    const { tables } = await visit.api("/v1/pipes/shop");
    assert.ok(tables.some((t) => t.name.includes("<img")) && tables.some((t) => t.name.includes("</script>")));
    const rows = visit.pipe().locator(".row .table");
    await rows.first().waitFor();
    assert.deepEqual((await rows.allTextContents()).sort(), tables.map((t) => t.name).sort());
    assert.equal(await page.locator("main img, main script, main b").count(), 0);
    await visit.screenshot("hostile light 1280");
  });

  check("a table among hundreds is found", { scene: "many" }, async (page, visit) => {
    const rows = visit.pipe().locator(".row");
    await rows.first().waitFor();
    assert.equal(await rows.count(), 100);
    assert.match(await visit.pipe().locator(".more").innerText(), /307 more/);
    await visit.pipe().getByRole("searchbox").fill("TENANT_377");
    await eventually(async () => assert.deepEqual(await rows.locator(".table").allTextContents(), ["tenant_377.events"]));
    await visit.pipe().getByRole("searchbox").fill("nothing");
    await visit.pipe().getByText("No table of that name").waitFor();
  });

  check("several pipes are shown, each for itself", { scene: "two" }, async (page, visit) => {
    await visit.pipe("analytics").waitFor();
    await visit.pipe("shop").waitFor();
    assert.equal(await visit.pipe("analytics").locator(".pill").first().textContent(), "snapshot");
    assert.equal(await visit.pipe("shop").locator(".pill").first().textContent(), "running");
    await visit.screenshot("two light 1280");
  });

  check("where there is no pipe the page says so", { scene: "empty" }, async (page, visit) => {
    await page.getByRole("heading", { name: "No pipe is served here yet" }).waitFor();
    assert.equal(await page.getByRole("article").count(), 0);
    assert.equal(await page.locator("#gate").isVisible(), false);
    await visit.screenshot("empty light 1280");
  });
}
