// A page of the documentation: its Markdown, as far as these pages use it, laid out.
import { element } from "./dom.js";

const article = document.querySelector("article");

// inline lays out a text: code, links, pictures (by what they show), bold and italics. It leaves comments out.
const marks = /(`+)(.+?)\1|!\[(.*?)\]\(.*?\)|\[((?:`[^`]*`|[^\]])+)\]\((.*?)\)|\*\*(.+?)\*\*|\*(\S.*?)\*|<(https?:[^>]+)>|<!--.*?-->/g;
function inline(text) {
  const parts = [];
  let end = 0;
  for (const m of text.matchAll(marks)) {
    const [all, , code, picture, label, href, bold, italics, address] = m;
    parts.push(text.slice(end, m.index));
    end = m.index + all.length;
    if (code) parts.push(element("code", {}, code.trim()));
    else if (label) parts.push(isHere(href) ? element("a", { href }, ...inline(label)) : element("span", {}, ...inline(label)));
    else if (bold) parts.push(element("b", {}, ...inline(bold)));
    else if (italics) parts.push(element("i", {}, ...inline(italics)));
    else if (address) parts.push(element("a", { href: address }, address));
    else parts.push(picture);
  }
  return [...parts, text.slice(end)].filter(Boolean);
}

// isHere says whether an address leads to a page that this server has, or elsewhere in the net: the rest of the source is not here.
const isHere = (href) => /^(https?:|#)/.test(href) || /^[\w-]+\.md(#|$)/.test(href);

// slug is the address of a heading, as GitHub makes it.
const slugs = new Map();
function slug(title) {
  const name = title.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").replace(/\s/g, "-");
  const n = slugs.get(name) ?? 0;
  slugs.set(name, n + 1);
  return n ? `${name}-${n}` : name;
}

const isBlank = (line) => line.trim() === "";
const heading = /^(#{1,6}) (.*)/, fence = /^\s*```/, item = /^(\s*)([-*]|\d+\.) (.*)/, quote = /^> ?/, comment = /^<!--(?!.*--> *\S)/;
const isBlock = (line) => isBlank(line) || [heading, fence, item, /^\s*\|/, comment].some((kind) => kind.test(line));

// blocks lays out lines. Each kind of block takes its lines off the beginning.
function blocks(lines) {
  const all = [];
  const take = (is) => {
    const taken = [];
    while (lines.length > 0 && is(lines[0])) taken.push(lines.shift());
    return taken;
  };
  while (lines.length > 0) {
    const [line] = lines;
    if (isBlank(line)) lines.shift();
    else if (comment.test(line)) take((l) => !l.includes("-->")), lines.shift();
    else if (fence.test(line)) all.push(code(take));
    else if (heading.test(line)) all.push(title(lines.shift()));
    else if (line.startsWith("    ")) all.push(element("pre", {}, text(take((l) => l.startsWith("    ") || isBlank(l)).map((l) => l.slice(4)))));
    else if (/^\s*\|/.test(line)) all.push(grid(take((l) => /^\s*\|/.test(l))));
    else if (item.test(line)) all.push(list(take((l) => item.test(l) || /^\s+\S/.test(l) || isBlank(l))));
    else if (quote.test(line)) all.push(element("blockquote", {}, ...blocks(take((l) => quote.test(l)).map((l) => l.replace(quote, "")))));
    else all.push(element("p", {}, ...inline([lines.shift(), ...take((l) => !isBlock(l))].join(" "))));
  }
  return all;
}

// text keeps lines as they are: element would show their ends as escapes.
const text = (lines) => document.createTextNode(lines.join("\n").trimEnd());

function code(take) {
  let fences = 0;
  const lines = take((l) => fences < 2 && (fence.test(l) ? ++fences : true));
  const indent = lines[0].search(/\S/);
  return element("pre", {}, text(lines.slice(1, -1).map((l) => l.slice(indent))));
}

function title(line) {
  const [, marks, words] = heading.exec(line);
  const parts = inline(words);
  const e = element("h" + marks.length, {}, ...parts);
  e.id = slug(e.textContent);
  return e;
}

function grid(lines) {
  // A | in code does not end a cell; nor does \|.
  const cells = (line) => line.trim().replace(/^\||\|$/g, "").match(/(`[^`]*`|\\.|[^|])*/g).filter((c, i, all) => c !== "" || i + 1 < all.length && all[i - 1] === "")
    .map((c) => c.trim().replaceAll("\\|", "|"));
  const row = (name, line) => element("tr", {}, ...cells(line).map((c) => element(name, {}, ...inline(c))));
  return element("div", { className: "scroll" }, element("table", {},
    element("thead", {}, row("th", lines[0])), element("tbody", {}, ...lines.slice(2).map((l) => row("td", l)))));
}

// list makes a list of the items of the first one's depth; deeper items belong to the item before them.
function list(lines) {
  const [, depth, mark] = item.exec(lines[0]);
  const items = [];
  for (const line of lines) {
    const m = item.exec(line);
    if (m && m[1].length <= depth.length) items.push([m[3]]);
    else items.at(-1).push(line.slice(Math.min(line.search(/\S|$/), depth.length + mark.length + 1)));
  }
  return element(/\d/.test(mark) ? "ol" : "ul", {}, ...items.map((own) => {
    const [first, ...rest] = blocks(own);
    return element("li", {}, ...(first?.tagName === "P" ? first.childNodes : [first]), ...rest);
  }));
}

async function show() {
  const answer = await fetch(location.pathname + "?raw", { signal: AbortSignal.timeout(10_000) });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  article.replaceChildren(...blocks((await answer.text()).split("\n")));
  document.title = article.querySelector("h1")?.textContent ?? document.title;
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

show().catch((error) => article.replaceChildren(element("p", { className: "bad" }, "This page can't be shown: " + error.message)));
