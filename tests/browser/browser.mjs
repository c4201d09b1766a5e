// One Chromium, driven by playwright-core; the tests say what to do with it: node browser.mjs TEST URL [ARGUMENT…]
import { createServer, connect } from "node:net";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [test, url, ...args] = process.argv.slice(2);
const require = createRequire(import.meta.url);

function check(condition, what) {
  if (!condition) throw new Error(what);
}

// A relay in front of the server whose connections can all be cut at once.
async function relay(port) {
  const open = new Set();
  const server = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    for (const s of [client, upstream]) {
      open.add(s);
      s.on("error", () => {});
      s.on("close", () => { open.delete(s); client.destroy(); upstream.destroy(); });
    }
    client.pipe(upstream).pipe(client);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { port: server.address().port, cut: () => { for (const s of open) s.destroy(); }, close: () => server.close() };
}

// Every line that was ever drawn, by its number: the list is windowed, so the page is asked while it follows the end.
const WATCH = () => {
  window.seenLines = new Map();
  window.doubled = [];
  const look = () => {
    for (const row of document.querySelectorAll(".log-window .log-row")) {
      const number = row.querySelector(".log-number"), text = row.querySelector(".log-text");
      if (!number || !text) continue;
      const before = window.seenLines.get(number.textContent);
      if (before !== undefined && before !== text.textContent) window.doubled.push([number.textContent, before, text.textContent]);
      window.seenLines.set(number.textContent, text.textContent);
    }
    requestAnimationFrame(look);
  };
  look();
};

const tests = {
  // The job page is opened in the middle of a job, its connection is cut twice, and every line is there exactly once.
  async late_and_cut(page) {
    const [job, total] = [args[0], Number(args[1])];
    const link = await relay(Number(new URL(url).port));
    await page.goto(`http://127.0.0.1:${link.port}/jobs/${job}`);
    await page.evaluate(WATCH);
    for (let i = 0; i < 2; i++) {
      const had = await page.evaluate(() => window.seenLines.size);
      await page.waitForFunction((n) => window.seenLines.size > n + 15, had, { timeout: 90000 });
      link.cut();
    }
    await page.waitForSelector(".link-ended", { timeout: 60000 });
    await page.waitForFunction((n) => document.querySelector("pr-job").log.lines === n, total, { timeout: 60000 });
    const lines = await page.evaluate(() => document.querySelector("pr-job").log.text().split("\n").filter((l) => l.startsWith("line ")));
    check(lines.length === total, `${lines.length} lines, wanted ${total}`);
    lines.forEach((l, i) => check(l === `line ${i + 1}`, `row ${i + 1} is '${l}'`));
    check((await page.evaluate(() => window.doubled)).length === 0, "a line changed its number");
    check((await page.textContent(".job-head .badge")).includes("succeeded"), "the state is not told");
    link.close();
  },

  // The list of jobs changes by itself.
  async list_is_live(page) {
    await page.goto(url);
    await page.waitForSelector(".empty, .list");
    console.log("READY");
    await page.waitForSelector(`.item-main[href="/jobs/${args[0]}"] .state-succeeded`, { timeout: 60000 });
  },

  // The list of deliveries by its filters, which stand in the address; older ones; what comes in by itself.
  async deliveries(page) {
    const rows = () => page.$$eval(".item-main", (all) => all.map((a) => Number(a.getAttribute("href").split("/").pop())));
    const count = (n) => page.waitForFunction((want) => document.querySelectorAll(".item-main").length === want, n, { timeout: 60000 });
    const total = Number(args[0]);
    await page.goto(`${url}/deliveries`);
    await count(100);
    check((await rows())[0] === total, "the newest is not the first");
    await page.click("a[rel=next]");
    await count(total - 100);
    check((await rows()).at(-1) === 1, "the oldest is not the last");
    check(new URL(page.url()).searchParams.has("before"), "the page's address does not tell which part it is");
    await page.goBack();
    await count(100);
    await page.selectOption("select[name=matched]", "no");
    await count(2);
    check(page.url().endsWith("?matched=no"), `the address is ${page.url()}`);
    await page.reload();
    await count(2);
    check(await page.inputValue("select[name=matched]") === "no", "the filter is not told after the address");
    await page.fill("input[name=source]", "local");
    await page.keyboard.press("Enter");
    await count(1);
    check((await page.textContent(".item-main")).includes("from within"), "an event from within looks like a sender's");
    await page.click(".filters a");
    await count(100);
    await page.fill("input[name=event]", "ping");
    await page.keyboard.press("Enter");
    await count(1);
    console.log("READY");
    await count(2);
    await page.waitForTimeout(500);
    check((await rows()).length === 2, "what does not fit the filters came in too");
  },

  // One delivery: the verdict, the body as it came, and the commands to have it again.
  async delivery(page) {
    await page.goto(`${url}/deliveries/${args[0]}`);
    await page.waitForSelector("h2");
    check((await page.textContent("table")).includes("branch"), "why a rule did not fire is not told");
    check((await page.textContent("pr-delivery")).includes(`pushrod replay ${args[0]}`), "no way to run it again");
    await page.click(".payload summary");
    await page.waitForFunction(() => document.querySelector(".payload pre").textContent.includes("9007199254740993"));
    const pre = await page.textContent(".payload pre");
    check(pre.includes('\n  "big": 9007199254740993,\n') && pre.includes('"none": {}'), `laid out as: ${pre.slice(-300)}`);
    check(pre.length === 65536, `${pre.length} characters at first`);
    await page.click(".payload button");
    await page.waitForFunction(() => document.querySelector(".payload pre").textContent.length > 70000);
    await page.goto(`${url}/deliveries/${args[1]}`);
    await page.click(".curl summary");
    await page.waitForSelector(".curl pre");
    const command = await page.textContent(".curl pre");
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.click(".curl button");
    await page.waitForFunction(() => document.querySelector(".curl .copy-said").textContent === "copied");
    check(await page.evaluate(() => navigator.clipboard.readText()) === command, "something else was copied");
    console.log(`CURL ${JSON.stringify(command)}`);
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("a[href$='/fixture']")]);
    check(download.suggestedFilename() === `delivery-${args[1]}.json`, download.suggestedFilename());
    console.log(`FIXTURE ${JSON.stringify(readFileSync(await download.path(), "utf8"))}`);
    await page.goto(`${url}/deliveries/${args[2]}`);
    await page.waitForSelector(`.reason a[href="/deliveries/${args[1]}"]`);
  },

  // Why rules do or do not fire, by keyboard alone: by the rules in force, by those of then, and where these are gone.
  async explained(page) {
    const rule = (name) => page.locator("pr-explain details", { hasText: name });
    const rows = (name) => rule(name).locator("tbody tr").evaluateAll((all) => all.map((tr) => [...tr.cells].map((c) => c.textContent.trim())));
    const press = async (label) => {
      await page.locator("pr-explain").getByRole("button", { name: label }).focus();
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => document.querySelector("pr-explain .job-sub, pr-explain .problem"));
    };
    const reports = [];
    page.on("pageerror", (e) => reports.push(String(e)));
    page.on("console", (m) => { if (/Content Security Policy/i.test(m.text())) reports.push(m.text()); });
    await page.goto(`${url}/deliveries/${args[0]}`);
    await page.waitForSelector("pr-explain button");
    check(await page.locator("pr-explain details").count() === 0, "it was asked before anybody wanted to know");
    await press("By the rules in force");
    check((await page.textContent("pr-explain .job-sub")).includes("have changed since it came"), "it does not say that the rules have changed");
    check(JSON.stringify(await rows("newer")) === JSON.stringify([
      ["✓ yes", "on", "push", "github:push", "rules/r.lua:1"],
      ["✓ yes", "any of", "", "", "rules/r.lua:1:38"],
      ["✗ no", "branch", '"dev"', '"main"', "rules/r.lua:1:48"],
      ["✓ yes", "branch", '"main"', '"main"', "rules/r.lua:1:68"],
      ["✗ no", "message", 'containing "[go]"', '"<img src=x onerror=\'window.pwned=1\'>"', "rules/r.lua:1:89"],
      ["✗ no", "pusher.nam", '"ada"', "not in the payload; did you mean pusher.name?", "rules/r.lua:1:129"],
      ["? unknown", "filter", "", "asked last, when the job starts", "rules/r.lua:1:166"]]), JSON.stringify(await rows("newer")));
    check((await rule("newer").locator("summary").textContent()).includes("✗ does not fire"), "the verdict rests on colour");
    await rule("newer").locator("summary").focus();
    const was = await rule("newer").getAttribute("open");
    await page.keyboard.press("Enter");
    check((await rule("newer").getAttribute("open")) !== was, "Enter does not fold a rule");
    await press("By those of then");
    await page.waitForFunction(() => document.querySelector("pr-explain .job-sub")?.textContent.includes("no longer in force"));
    check(await page.getAttribute("pr-explain button:nth-of-type(2)", "aria-pressed") === "true", "which one was chosen is not told");
    check((await page.textContent("pr-explain details summary")).includes("✓ fires older"), "the rule of then is not told");
    console.log("READY");
    await page.waitForTimeout(1000);
    await press("By those of then");
    await page.waitForSelector("pr-explain .problem[role=alert]");
    check((await page.textContent("pr-explain .problem")).includes("the rules of then cannot be had any more"), "what is gone is not told");
    check(await page.evaluate(() => !window.pwned) && reports.length === 0, reports.join("\n"));
  },

  // What came before: the delivery that the same text came as, the job and the delivery that caused one.
  async origins(page) {
    const [again, first, caused, job] = args;
    await page.goto(`${url}/deliveries`);
    await page.waitForSelector(`.item-main[href="/deliveries/${again}"]`);
    check((await page.textContent(`.item-main[href="/deliveries/${again}"]`)).includes(`same as ${first}`), "the list does not mark what came twice");
    check((await page.textContent(`.item-main[href="/deliveries/${caused}"]`)).includes("from within"), "an event of a job looks like a sender's");
    const told = await page.textContent(`.item-main[href="/deliveries/${caused}"]`);
    check(told.includes("rule:succeeded") && told.includes(`by r, job ${job}`), `an event of a job does not say what caused it: ${told}`);
    await page.click(`.item-main[href="/deliveries/${again}"]`);
    await page.click(`.reason a[href="/deliveries/${first}"]`);
    await page.waitForFunction((id) => location.pathname === `/deliveries/${id}` && document.querySelector("h1")?.textContent.includes(`#${id}`), first);
    await page.goto(`${url}/deliveries/${caused}`);
    await page.waitForSelector(`.reason a[href="/deliveries/${first}"]`);
    check(!(await page.$(".curl")), "an event that nobody sent is offered as a curl command");
    await page.click(`.reason a[href="/jobs/${job}"]`);
    await page.waitForSelector("pr-job h1");
    check(new URL(page.url()).pathname === `/jobs/${job}`, "the cause leads to another job");
  },

  // What is not there, or no longer: said in the page, which stays a page.
  async gone(page) {
    const problem = async (path, words) => {
      await page.goto(url + path);
      await page.waitForSelector(".problem[role=alert]");
      check((await page.textContent(".problem")).includes(words), `${path}: ${await page.textContent(".problem")}`);
      check(await page.$("header nav"), "the frame of the page is gone");
    };
    await problem(`/deliveries/${args[0]}`, `delivery ${args[0]} is no longer kept`);
    await problem("/deliveries/4711", "no delivery 4711");
    await page.goto(`${url}/deliveries/${args[1]}`);
    await page.waitForFunction(() => document.querySelector("pr-delivery").textContent.includes("The body is no longer kept"));
    check(!(await page.$("pr-explain, .curl, a[download]")), "what needs the body is offered without it");
  },

  // Bodies that cannot be shown as they are: bytes that are no text, and more than a page should hold.
  async bodies(page) {
    const [binary, large, bytes] = args;
    const taken = async (id) => {
      const [download] = await Promise.all([page.waitForEvent("download"), page.click(`.payload a[download]`)]);
      check(download.suggestedFilename() === `delivery-${id}.bin`, download.suggestedFilename());
      return readFileSync(await download.path());
    };
    await page.goto(`${url}/deliveries/${binary}`);
    await page.click(".payload summary");
    await page.waitForFunction(() => document.querySelector(".payload").textContent.includes("it is not text: download it"));
    check((await taken(binary)).includes(0xff), "the download is not what came");
    await page.click(".curl summary");
    await page.waitForSelector(".curl code");
    check((await page.textContent(".curl pre")).includes(`--data-binary @delivery-${binary}.bin`), "bytes that no shell holds are pasted");
    await page.goto(`${url}/deliveries/${large}`);
    await page.click(".payload summary");
    await page.waitForFunction(() => document.querySelector(".payload").textContent.includes("Only the first 4.0 MiB of 5.0 MiB can be shown"));
    check((await page.textContent(".payload pre")).length === 65536, "it is not cut");
    await page.click(".payload button");
    await page.waitForFunction(() => document.querySelector(".payload pre").textContent.length === 4 << 20);
    check((await taken(large)).length === Number(bytes), "the download is cut");
    await page.click(".curl summary");
    check((await page.textContent(".curl pre")).includes(`@delivery-${large}.bin`), "a part of the body is offered as the whole");
  },

  // Without script: where the same stands as text.
  async no_script(page, browser) {
    const p = await (await browser.newContext({ javaScriptEnabled: false })).newPage();
    for (const path of ["/", `/deliveries/${args[0]}`]) {
      await p.goto(url + path);
      check((await p.innerText("body")).includes("This page needs JavaScript"), "nothing is said");
    }
    await p.click("a[href='/api/v1/deliveries']");
    check((await p.innerText("body")).includes('"deliveries":['), "the link leads nowhere");
  },

  // No script runs from a log, a title or a name; the policy is strict and nothing breaks it.
  async nothing_runs(page) {
    const reports = [];
    page.on("console", (m) => { if (/Content Security Policy/i.test(m.text())) reports.push(m.text()); });
    page.on("pageerror", (e) => reports.push(String(e)));
    page.on("dialog", (d) => { reports.push("a dialog opened"); d.dismiss(); });
    for (const path of ["/", `/jobs/${args[0]}`, "/deliveries", `/deliveries/${args[1]}`, "/rules"]) {
      await page.goto(url + path);
      await page.waitForSelector("h1");
      await page.waitForTimeout(300);
    }
    await page.goto(`${url}/jobs/${args[0]}`);
    await page.waitForSelector(".link-ended");
    const text = await page.evaluate(() => document.querySelector("pr-job").log.text());
    check(text.includes("<img src=x onerror=alert(1)>"), "the log's text is shown as text");
    check(await page.evaluate(() => !window.pwned), "a script ran");
    check(reports.length === 0, reports.join("\n"));
  },

  // axe finds nothing, in both schemes, on a phone's width too; the pages work by keyboard alone.
  async accessible(page, browser) {
    const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
    for (const scheme of ["light", "dark"])
      for (const width of [1280, 360])
        for (const path of ["/", `/jobs/${args[0]}`, "/deliveries", `/deliveries/${args[1]}`, "/rules"]) {
          const context = await browser.newContext({ colorScheme: scheme, viewport: { width, height: 740 }, bypassCSP: true });
          const p = await context.newPage();
          await p.goto(url + path);
          await p.waitForSelector("h1");
          await p.waitForTimeout(250);
          await p.evaluate(() => { for (const d of document.querySelectorAll("details")) d.open = true; document.querySelector("pr-explain button")?.click(); });
          await p.waitForTimeout(250);
          await p.evaluate(axe);
          const found = await p.evaluate(() => window.axe.run({ resultTypes: ["violations"] }));
          check(found.violations.length === 0, `${path} ${scheme} ${width}: ` +
            JSON.stringify(found.violations.map((v) => [v.id, v.nodes.map((n) => n.html).slice(0, 3)])));
          const wide = await p.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          check(wide <= 0, `${path} at ${width} px is ${wide} px too wide`);
          if (process.env.PUSHROD_SHOTS) await p.screenshot({ path: `${process.env.PUSHROD_SHOTS}/${path.replaceAll("/", "_") || "_"}-${scheme}-${width}.png`, fullPage: true });
          await context.close();
        }
    await page.goto(url);
    await page.waitForSelector(".item-main");
    for (let i = 0; i < 20; i++) {
      await page.keyboard.press("Tab");
      if (await page.evaluate(() => document.activeElement.classList.contains("item-main"))) break;
    }
    await page.keyboard.press("Enter");
    await page.waitForSelector("pr-job h1");
    await page.keyboard.press("f");
    check(new URL(page.url()).pathname.startsWith("/jobs/"), "Enter opened the job");
  },

  // A hundred thousand lines: few nodes, the first and the last reachable, following pauses when one scrolls up.
  async many_lines(page) {
    const total = Number(args[1]);
    await page.goto(`${url}/jobs/${args[0]}`);
    await page.waitForSelector(".link-ended", { timeout: 60000 });
    await page.waitForFunction((n) => document.querySelector("pr-job").log.lines === n, total, { timeout: 60000 });
    await page.waitForFunction((n) => [...document.querySelectorAll(".log-number")].some((e) => e.textContent === String(n)), total);
    check(await page.evaluate(() => document.querySelectorAll("*").length) < 600, "too many nodes");
    await page.focus(".log-scroll");
    await page.keyboard.press("g");
    await page.waitForFunction(() => [...document.querySelectorAll(".log-number")].some((e) => e.textContent === "1"));
    await page.keyboard.press("f");
    await page.waitForFunction((n) => [...document.querySelectorAll(".log-number")].some((e) => e.textContent === String(n)), total);
  },

  async shot(page) {
    await page.setViewportSize({ width: Number(args[2] ?? 1280), height: 800 });
    await page.goto(url + args[0]);
    await page.waitForSelector("h1");
    await page.waitForTimeout(800);
    await page.screenshot({ path: args[1] });
  },
};

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium", headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
let code = 0;
try {
  await tests[test](await browser.newPage(), browser);
} catch (e) {
  console.error(e.stack ?? e);
  code = 1;
}
await browser.close();
process.exit(code);
