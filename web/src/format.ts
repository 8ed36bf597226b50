/** Time, size and numbers as the pages print them. */

const MINUS = "\u2212";

/** Languages written without spaces between words, as batch/captions.py has it. */
export const SPACELESS: ReadonlySet<string> = new Set(["zh", "ja", "th", "lo", "my", "km", "bo", "yue"]);

/** 75 -> "1:15", 3675 -> "1:01:15". */
export function clock(atS: number): string {
  const whole = Math.floor(atS + 1e-6);
  const two = (n: number) => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** How long something took: "0.4 s", "12 s", "3 min 5 s". */
export function lasted(s: number): string {
  if (s < 10) return `${Math.max(s, 0).toFixed(1)} s`;
  const whole = Math.round(s);
  return whole < 100 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** 1_500_000 -> "1.5 MB". */
export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  if (bytes < 999_500) return `${Math.round(bytes / 1000)} kB`;
  const mega = bytes / 1e6;
  return mega < 999.5 ? `${mega.toFixed(mega < 10 ? 1 : 0)} MB` : `${(mega / 1000).toFixed(1)} GB`;
}

/** A number with a real minus sign. */
export function printed(value: number, digits: number): string {
  return value.toFixed(digits).replace("-", MINUS);
}

const time = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat("en", { day: "numeric", month: "short" });
const dayOfYear = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", year: "numeric" });

/** "Today, 14:05", "Yesterday, 9:12", "3 Feb, 18:40", "3 Feb 2024". */
export function when(iso: string, now = new Date()): string {
  const at = new Date(iso);
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const days = Math.ceil((midnight - at.getTime()) / 86_400_000);
  if (days <= 0) return `Today, ${time.format(at)}`;
  if (days === 1) return `Yesterday, ${time.format(at)}`;
  return at.getFullYear() === now.getFullYear() ? dated(at) : dayOfYear.format(at);
}

/** "3 Feb, 18:40". */
export function dated(at: Date): string {
  return `${day.format(at)}, ${time.format(at)}`;
}
