import { shown } from "./format.js";

// element makes an element. Text becomes text, never markup: much of what is shown here was sent by strangers.
export function element(name, properties = {}, ...children) {
  const e = document.createElement(name);
  Object.assign(e, properties);
  const there = children.filter((child) => child !== null && child !== undefined);
  e.append(...there.map((child) => (typeof child === "string" ? shown(child) : child)));
  return e;
}

// table makes a table. A column is {head, number}; a row is a list of texts or elements.
export function table(columns, rows) {
  const cell = (name, column, content) => element(name, { className: column.number ? "number" : "" }, content);
  return element("div", { className: "scroll" }, element("table", {},
    element("thead", {}, element("tr", {}, ...columns.map((c) => cell("th", c, c.head)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((content, i) => cell("td", columns[i], content)))))));
}

// get asks the admin server, and throws what it says when it refuses.
export async function get(path, options) {
  const url = new URL(path, document.baseURI);
  url.username = url.password = ""; // a page opened as name:token@host has them, and fetch refuses such
  const response = await fetch(url, { signal: AbortSignal.timeout(10_000), ...options });
  const body = await response.json().catch((error) => {
    if (response.ok) throw error; // the answer was cut off
    return { error: response.statusText };
  });
  if (!response.ok) throw new Error(body.error || `the server answered ${response.status}`);
  return body;
}
