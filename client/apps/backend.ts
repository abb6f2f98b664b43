// A page's own inbox and session, which it has without Roost.
import { SessionOver } from "roost-client";

export interface Item {
  id: string;
  text: string;
}

export async function fetchInbox(signal: AbortSignal): Promise<Item[]> {
  const answer = await fetch("/inbox", { signal });
  if (!answer.ok) throw new Error(`the inbox answers ${answer.status}`);
  return answer.json();
}

export async function token({ signal }: { signal: AbortSignal }): Promise<string> {
  const answer = await fetch("/roost-token", { method: "POST", signal });
  if (answer.status === 401) throw new SessionOver();
  return answer.text();
}
