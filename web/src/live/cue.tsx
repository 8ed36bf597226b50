/** One piece of advice at a time, for a few seconds. */

import { useEffect, useState } from "preact/hooks";
import { FAST_MS, usePaced } from "./paced";
import type { LiveStore } from "./store";

const SHOWN_MS = 6000; // also when nothing more comes that would move the session's clock

export function Cue({ store }: { store: LiveStore }) {
  usePaced(store, FAST_MS);
  const { cue } = store;
  const [past, setPast] = useState(-1);
  useEffect(() => {
    if (!cue) return undefined;
    const timer = setTimeout(() => setPast(cue.t_ms), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [cue?.t_ms]);
  const shown = cue && cue.t_ms !== past ? cue : null;
  // The place is always there: nothing moves when a cue comes, and what is listened to was in the page before it.
  return (
    <p class="cue" role="status">
      {shown && <span key={shown.t_ms}>{shown.text}</span>}
    </p>
  );
}
