/** Brings a recording to the server in parts, goes on after a break, and remembers what is unfinished until the tab closes. */

import { at, call, make, Problem, problemOf, UNREACHABLE, wish, type Link, type Upload, type Wish } from "./api";
import { wanted, type Manner } from "./style";

const REMEMBERED = "elocute.upload";
const WAITS_S = [1, 2, 4, 8, 15, 30, 30, 30]; // two minutes without a byte getting through, then it is the user's turn

/** An upload that did not end. */
export interface Unfinished {
  session: string;
  name: string;
  size: number;
  modified: number;
}

export interface Progress {
  sent: number; // bytes
  total: number;
  waiting: boolean; // for the network or the server
}

export function unfinished(): Unfinished | null {
  const kept = sessionStorage.getItem(REMEMBERED);
  return kept ? (JSON.parse(kept) as Unfinished) : null;
}

export function forget(): void {
  sessionStorage.removeItem(REMEMBERED);
}

export function isFileOf(file: File, kept: Unfinished | null): kept is Unfinished {
  return kept !== null && kept.name === file.name && kept.size === file.size && kept.modified === file.lastModified;
}

/** Bring the file and have it processed; gives the session's id. Raises Problem, or AbortError. */
export async function bring(file: File, title: string, manner: Manner, signal: AbortSignal, onProgress: (progress: Progress) => void): Promise<string> {
  const kept = unfinished();
  const begun = isFileOf(file, kept) ? await resumed(kept, signal) : null;
  const { id, upload } = begun ?? (await created(file, title, manner, signal));
  await send(file, id, upload, signal, onProgress);
  if (upload.upload_id && !upload.complete) await patiently(() => call("POST", at(id, "/upload/complete"), {}, signal), signal);
  await patiently(() => call("POST", at(id, "/process"), {}, signal), signal);
  forget();
  return id;
}

interface Begun {
  id: string;
  upload: Upload;
}

const wished = new WeakMap<File, Wish>(); // whose answer has not come

async function created(file: File, title: string, manner: Manner, signal: AbortSignal): Promise<Begun> {
  const content_type = file.type || "application/octet-stream";
  const body = { title: title || file.name.replace(/\.\w{1,5}$/, ""), filename: file.name, size: file.size, content_type, ...wanted(manner) };
  const before = wished.get(file);
  const again = before && JSON.stringify(before.body) === JSON.stringify(body) ? before : wish(body);
  wished.set(file, again);
  const session = await make(again, signal);
  wished.delete(file);
  if (!session.upload) throw new Problem("The server did not say where to put the recording. Try again.", 502, "");
  sessionStorage.setItem(REMEMBERED, JSON.stringify({ session: session.id, name: file.name, size: file.size, modified: file.lastModified }));
  return { id: session.id, upload: session.upload };
}

/** The upload that is remembered; null where the server knows it no more. */
async function resumed(kept: Unfinished, signal: AbortSignal): Promise<Begun | null> {
  try {
    return { id: kept.session, upload: await call<Upload>("GET", at(kept.session, "/upload"), undefined, signal) };
  } catch (error) {
    if (!(error instanceof Problem) || error.passing) throw error;
    forget();
    return null;
  }
}

/** Send what is not there yet. A broken line is waited for; an expired link is replaced. */
async function send(file: File, id: string, first: Upload, signal: AbortSignal, onProgress: (progress: Progress) => void): Promise<void> {
  let upload = first;
  let failures = 0;
  const total = file.size;
  for (;;) {
    const next = missing(upload);
    if (!next) return;
    const before = upload.there?.reduce((sum, part) => sum + part.size, 0) ?? 0;
    const report = (bytes: number, waiting = false) => onProgress({ sent: before + bytes, total, waiting });
    try {
      report(0);
      await put(next.link, file.slice(next.offset, next.offset + next.size), signal, report);
      failures = 0;
      if (!upload.upload_id) return;
      upload = { ...upload, there: [...(upload.there ?? []), { number: next.number, size: next.size }] };
    } catch (error) {
      const expired = error instanceof Problem && error.code === "link-expired";
      if (!(error instanceof Problem) || !(error.passing || expired) || failures >= WAITS_S.length) throw error;
      report(0, true);
      await pause(Math.max(error.retryAfterS ?? 0, WAITS_S[failures] ?? 0), signal);
      failures += 1;
      upload = await patiently(() => call<Upload>("GET", at(id, "/upload"), undefined, signal), signal);
    }
  }
}

function missing(upload: Upload): { link: Link; number: number; offset: number; size: number } | null {
  if (upload.complete) return null;
  if (upload.put) return { link: upload.put, number: 1, offset: 0, size: upload.size };
  const there = new Set(upload.there?.map((part) => part.number));
  const part = upload.parts?.find(({ number }) => !there.has(number));
  return part ? { link: part, number: part.number, offset: part.offset, size: part.size } : null;
}

/** fetch tells nothing of how much was sent; XMLHttpRequest does. */
function put(link: Link, body: Blob, signal: AbortSignal, onSent: (bytes: number) => void): Promise<void> {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    const end = (error?: Error) => {
      signal.removeEventListener("abort", abort);
      if (error) fail(error);
      else done();
    };
    request.open(link.method, link.url);
    for (const [name, value] of Object.entries(link.headers)) {
      if (!/^(content-length|host)$/i.test(name)) request.setRequestHeader(name, value); // the browser sets these itself
    }
    request.upload.addEventListener("progress", (event) => onSent(event.loaded));
    request.addEventListener("load", () => {
      if (request.status >= 200 && request.status < 300) end();
      else end(problemOf(request.status, request.responseText, request.getResponseHeader("Retry-After")));
    });
    request.addEventListener("error", () => end(new Problem(UNREACHABLE, 0, "unreachable")));
    request.addEventListener("abort", () => end(new DOMException("stopped", "AbortError")));
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) end(new DOMException("stopped", "AbortError"));
    else request.send(body);
  });
}

/** The same request until it is answered, with growing waits; what the user must mend is raised at once. */
async function patiently<T>(request: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await request();
    } catch (error) {
      const wait = WAITS_S[attempt];
      if (!(error instanceof Problem) || !error.passing || wait === undefined) throw error;
      await pause(Math.max(error.retryAfterS ?? 0, wait), signal);
    }
  }
}

/** So many seconds, or until the browser says that it is online again. */
function pause(s: number, signal: AbortSignal): Promise<void> {
  return new Promise((done, fail) => {
    const over = () => {
      clearTimeout(timer);
      window.removeEventListener("online", over);
      signal.removeEventListener("abort", over);
      if (signal.aborted) fail(new DOMException("stopped", "AbortError"));
      else done();
    };
    const timer = setTimeout(over, s * 1000);
    window.addEventListener("online", over);
    signal.addEventListener("abort", over);
    if (signal.aborted) over();
  });
}
