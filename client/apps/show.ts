// The page without a framework.
import type { Item } from "./backend";

const inbox = new Map<string, Item>();
const page = document.querySelector("#app")!.appendChild(document.createElement("p"));
let state = "connecting";

export function show(items: Item[]) {
  for (const item of items) inbox.set(item.id, item);
  page.textContent = `${inbox.size} new (${state})`;
}

export function showState(status: { state: string }) {
  ({ state } = status);
  show([]);
}
