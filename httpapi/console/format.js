// How numbers are written on this page.

const whole = new Intl.NumberFormat("en");

// count writes 12,345 or 1.24 M.
export function count(n) {
  if (n >= 1e7) return (n / 1e6).toFixed(1) + " M";
  return whole.format(Math.round(n));
}

// counted writes 1 gap, 2 gaps.
export function counted(n, what) {
  return count(n) + " " + what + (n === 1 ? "" : "s");
}

// rate writes what happens in a second: 0, 0.3, 12, 3,400.
export function rate(n) {
  return n > 0 && n < 9.95 ? n.toFixed(1) : count(n);
}

export function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) { n /= 1024; unit++; }
  return (unit === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)) + " " + units[unit];
}

export function milliseconds(ms) {
  if (ms === undefined || ms === null) return "–";
  if (ms === 0) return "0 ms";
  if (ms >= 1000) return (ms / 1000).toFixed(1) + " s";
  return (ms < 10 ? ms.toFixed(2) : ms.toFixed(0)) + " ms";
}

// duration writes a number of seconds as its two largest units: 3 d 4 h.
export function duration(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = Math.min(units.findIndex(([, size]) => seconds >= size) + 4 * (seconds < 1), 3);
  const [name, size] = units[first];
  const text = Math.floor(seconds / size) + " " + name;
  const rest = first < 3 ? Math.floor((seconds % size) / units[first + 1][1]) : 0;
  return rest > 0 ? `${text} ${rest} ${units[first + 1][0]}` : text;
}

// time writes a moment in UTC, as the log does.
export function time(moment) {
  return new Date(moment).toISOString().slice(11, 19);
}

// since writes when something began, with the day if that was not within the last one.
export function since(moment) {
  const day = Date.now() - new Date(moment) > 86_400_000 ? new Date(moment).toISOString().slice(0, 10) + " " : "";
  return `since ${day}${time(moment)} UTC`;
}

// words makes a reason readable: token_expired becomes token expired.
export function words(reason) {
  return reason.replaceAll("_", " ");
}

// shown is a text of strangers as it may be shown: what would turn the direction of writing around, or is no character
// to see, is written as JSON escapes it.
export function shown(text) {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
}
