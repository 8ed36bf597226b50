/** Redrawing as calmly as the eye needs it: never oftener than a limit, never where nobody looks. */

import { createContext } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";
import type { LiveStore } from "./store";

export const FAST_MS = 100;
export const SLOW_MS = 500; // for numbers that are read
const CALM_MS = 1000; // for those who asked for less motion

/** The document that is drawn into: a picture-in-picture window has its own. */
export const Page = createContext(document);

/** Calls `draw` now and after changes of the store, at most every `everyMs`, while `page` can be seen. Gives the way to stop it. */
export function paced(store: LiveStore, page: Document, everyMs: number, draw: () => void): () => void {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let drawnAt = -Infinity;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    if (timer !== undefined || page.visibilityState === "hidden") return;
    const leftMs = drawnAt + (still.matches ? Math.max(everyMs, CALM_MS) : everyMs) - performance.now();
    timer = setTimeout(now, Math.max(leftMs, 0)); // also when it is due: events that come in a burst are drawn once
  };
  const now = () => {
    timer = undefined;
    drawnAt = performance.now();
    draw();
  };
  const stop = store.subscribe(look);
  page.addEventListener("visibilitychange", look);
  look();
  return () => {
    stop();
    page.removeEventListener("visibilitychange", look);
    clearTimeout(timer);
  };
}

/** Renders the component again, paced, when the store changes. */
export function usePaced(store: LiveStore, everyMs: number): void {
  const page = useContext(Page);
  const [, again] = useState(0);
  useEffect(() => paced(store, page, everyMs, () => again((times) => times + 1)), [store, page, everyMs]);
}
