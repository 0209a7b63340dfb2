/** Markdown in a real browser: what comes out, and that nothing hostile does. */
import { expect, test, type Page } from "@playwright/test";
import type { Block } from "../src/markdown.js";

test.beforeEach(async ({ page }) => {
  await page.goto("/?model=models/slow.gguf");
});

test("blocks of their kinds", async ({ page }) => {
  const blocks = await parse(page, "# One\n\ntext\n\n```python\nprint('<b>')\n```\n\n|a|b|\n|-|-:|\n|1|2|\n");
  expect(blocks.map(({ kind }) => kind)).toEqual(["prose", "prose", "code", "table"]);
  expect(blocks[2]).toEqual({ kind: "code", language: "python", text: "print('<b>')" });
  expect(blocks[3]).toMatchObject({ html: expect.stringContaining('<td align="right">2</td>') });
});

test("a growing answer changes its last block alone", async ({ page }) => {
  const first = await parse(page, "One.\n\n```js\nlet a");
  const second = await parse(page, "One.\n\n```js\nlet a = 1;\n```\n\nTwo");
  expect(first).toEqual([second[0], { kind: "code", language: "js", text: "let a" }]);
  expect(second).toHaveLength(3);
});

const prose = [
  ["*a* **b** ~~c~~ `d`", "<p><em>a</em> <strong>b</strong> <del>c</del> <code>d</code></p>\n"],
  ["one\ntwo", "<p>one<br>two</p>\n"],
  ["3. c\n4. d", '<ol start="3">\n<li>c</li>\n<li>d</li>\n</ol>\n'],
  ["- [x] a\n- [ ] b", "<ul>\n<li>☑ a</li>\n<li>☐ b</li>\n</ul>\n"],
  ["Use <b>bold</b> & 'so'", "<p>Use &lt;b&gt;bold&lt;/b&gt; &amp; 'so'</p>\n"],
  ["<div>\nraw\n</div>", "&lt;div&gt;\nraw\n&lt;/div&gt;"],
  ["[a](https://b.example 'c')", link("https://b.example", "a")],
  ["[a]\n\n[a]: https://b.example", link("https://b.example", "a")],
  ["![a cat](https://b.example/cat.png)", link("https://b.example/cat.png", "a cat")],
  ["![](https://b.example/cat.png)", link("https://b.example/cat.png", "https://b.example/cat.png")],
  ["[a](mailto:a@b.example)", link("mailto:a@b.example", "a")],
  ["[a](/local)", "<p><a>a</a></p>\n"],
  ["[a](#id)", "<p><a>a</a></p>\n"],
] as const;

test("prose as HTML", async ({ page }) => {
  for (const [text, html] of prose) {
    const blocks = await parse(page, text);
    const drawn = blocks.map((block) => (block.kind === "code" ? block.text : block.html)).join("");
    expect.soft(drawn, JSON.stringify(text)).toBe(html);
  }
});

/** Each tries to run `pwned()`, to load something, or to break out of where it is put. */
const hostile = [
  "<script>pwned()</script>",
  "<ScRiPt src=https://evil.example/x.js></sCrIpT>",
  "<img src=x onerror=pwned()>",
  "<img src='https://evil.example/pixel.png'>",
  "![x](https://evil.example/pixel.png)",
  '![x](x" onerror="pwned())',
  '![x](https://evil.example/"onerror="pwned())',
  '![" onload="pwned()](https://evil.example/)',
  "[x](javascript:pwned())",
  "[x](JaVaScRiPt:pwned())",
  "[x](java\tscript:pwned())",
  "[x](&#106;avascript:pwned())",
  "[x](&#x6A;avascript&colon;pwned())",
  "[x](\u0001javascript:pwned())",
  "[x](vbscript:pwned())",
  "[x](data:text/html,<script>pwned()</script>)",
  "[x](data:text/html;base64,PHNjcmlwdD5wd25lZCgpPC9zY3JpcHQ+)",
  "[x](blob:https://evil.example/1)",
  "[x](file:///etc/passwd)",
  "<javascript:pwned()>",
  "[x]: javascript:pwned()\n\n[x]",
  '[x](https://a.example/"onmouseover="pwned())',
  '[x](https://a.example "onmouseover=pwned() x=")',
  "<svg onload=pwned()>",
  "<svg><script>pwned()</script></svg>",
  "<svg><a xlink:href='javascript:pwned()'><text y=9>x</text></a></svg>",
  "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=x onerror=pwned()&gt;'>",
  "<math href='javascript:pwned()'>x</math>",
  "<iframe src='javascript:pwned()'></iframe>",
  "<iframe srcdoc='<script>parent.pwned()</script>'></iframe>",
  "<object data='javascript:pwned()'></object><embed src='javascript:pwned()'>",
  "<form action='javascript:pwned()'><button>x</button></form>",
  "<input autofocus onfocus=pwned()>",
  "<details open ontoggle=pwned()>x</details>",
  "<video><source onerror=pwned()></video>",
  "<audio src=x onerror=pwned()>",
  "<body onload=pwned()>",
  "<style>@import 'https://evil.example/x.css';</style>",
  "<link rel=stylesheet href='https://evil.example/x.css'>",
  "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
  "<base href='https://evil.example/'>",
  "<p style='background:url(https://evil.example/x)'>x</p>",
  "<template><img src=x onerror=pwned()></template>",
  "<noscript><p title='</noscript><img src=x onerror=pwned()>'>",
  "<a id=document name=cookie href='https://a.example'>x</a>",
  "<img name=getElementById>",
  "<tallow-app></tallow-app>",
  "```<img src=x onerror=pwned()>\n<script>pwned()</script>\n```",
  '```"><img/src=x/onerror=pwned()>\nx\n```',
  "- ```x onerror=pwned()\n  <img src=x onerror=pwned()>\n  ```",
  "`<img src=x onerror=pwned()>`",
  "| a |\n| - |\n| <img src=x onerror=pwned()> |",
  '| a |\n| :-" onclick="pwned() |\n| b |',
  "> <svg/onload=pwned()>",
  "# <img src=x onerror=pwned()>",
  "<!-- --!><img src=x onerror=pwned()> -->",
  "<![CDATA[><img src=x onerror=pwned()>]]>",
  "<?xml ?><img src=x onerror=pwned()>",
  "&lt;img src=x onerror=pwned()&gt;",
  "\\<img src=x onerror=pwned()>",
  "${pwned()} {{pwned()}} ${alert(1)}",
];

const allowedElements = new Set(
  "A P BR HR STRONG EM DEL CODE PRE UL OL LI BLOCKQUOTE H1 H2 H3 H4 H5 H6 TABLE THEAD TBODY TR TH TD DIV".split(
    " ",
  ),
);
const allowedAttributes = new Set(["href", "target", "rel", "start", "align"]);

test("hostile text becomes text or harmless elements", async ({ page }) => {
  const requests: string[] = [];
  page.on("request", (request) => requests.push(request.url()));
  for (const text of hostile) {
    const { elements, attributes, links, pwned } = await show(page, await parse(page, text));
    const name = JSON.stringify(text);
    expect
      .soft(
        elements.filter((element) => !allowedElements.has(element)),
        name,
      )
      .toEqual([]);
    expect
      .soft(
        attributes.filter((attribute) => !allowedAttributes.has(attribute)),
        name,
      )
      .toEqual([]);
    for (const { href, target, rel } of links) {
      expect.soft(href, name).toMatch(/^(https?|mailto):/);
      expect.soft({ target, rel }, name).toEqual({ target: "_blank", rel: "noopener noreferrer" });
    }
    expect.soft(pwned, name).toBe(false);
  }
  expect(requests.filter((url) => !url.startsWith("http://localhost:"))).toEqual([]);
});

test("a hostile answer does no harm in the conversation either", async ({ page }) => {
  const requests: string[] = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("dialog", () => requests.push("a dialog"));
  await page.goto("/");
  await page.getByTestId("examples").waitFor();
  await page
    .getByTestId("composer")
    .fill(`echo ${hostile.filter((text) => !text.includes("```")).join("\n\n")}`);
  await page.getByTestId("send").click();
  await page.locator("[data-testid=answer]:not([data-status=streaming])").waitFor();
  const answer = page.getByTestId("answer-text");
  await expect(answer).toContainText("<script>pwned()</script>");
  expect(await answer.locator("img, script, iframe, form").count()).toBe(0);
  expect(requests.filter((url) => !url.startsWith("http://localhost:"))).toEqual([]);
});

function link(href: string, text: string): string {
  return `<p><a href="${href}" target="_blank" rel="noopener noreferrer">${text}</a></p>\n`;
}

function parse(page: Page, text: string): Promise<Block[]> {
  return page.evaluate(async (markdown) => {
    const module = "/src/markdown.ts";
    const { parseMarkdown } = (await import(module)) as typeof import("../src/markdown.js");
    return parseMarkdown(markdown);
  }, text);
}

/** Puts blocks into the page as the page does, touches what is there, and tells what came of it. */
function show(page: Page, blocks: Block[]) {
  return page.evaluate(async (blocks) => {
    let pwned = false;
    Object.assign(window, { pwned: () => (pwned = true) });
    const container = document.createElement("div");
    for (const block of blocks) {
      const child = container.appendChild(document.createElement("div"));
      if (block.kind === "code") child.textContent = block.text;
      else child.innerHTML = block.html;
    }
    document.body.append(container);
    const elements = [...container.querySelectorAll("*")];
    for (const element of elements) element.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
    await new Promise((resolve) => setTimeout(resolve, 20));
    const attributes = elements.flatMap((element) => element.getAttributeNames());
    const links = [...container.querySelectorAll("a[href]")].map((link) => ({
      href: link.getAttribute("href"),
      target: link.getAttribute("target"),
      rel: link.getAttribute("rel"),
    }));
    return { elements: elements.map(({ tagName }) => tagName), attributes, links, pwned };
  }, blocks);
}
