/** What the speaker sees while speaking: the words, pace, loudness, pitch, and now and then one cue. The rest for who asks for it. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { SPACELESS } from "../format";
import { Cue } from "./cue";
import { Loudness, Pace } from "./dials";
import { amiss, ROWS } from "./numbers";
import { SLOW_MS, usePaced } from "./paced";
import { Pitch } from "./ribbon";
import type { LiveStore } from "./store";
import { Transcript } from "./transcript";

const READ_MS = 5000; // between what is read out

interface Props {
  store: LiveStore;
  stale: boolean; // what is shown is not what is said
  children: ComponentChildren; // what is to be known besides: it takes the place of the cue, so that nothing moves
}

export function LiveView({ store, stale, children }: Props) {
  return (
    <div class={stale ? "live stale" : "live"}>
      <div class="strip">
        <Cue store={store} />
        <div class="notice">{children}</div>
      </div>
      <Transcript store={store} />
      <div class="dials">
        <Pace store={store} />
        <Loudness store={store} />
      </div>
      <Pitch store={store} />
      <Amiss store={store} />
      <More store={store} />
    </div>
  );
}

export function Amiss({ store }: { store: LiveStore }) {
  usePaced(store, SLOW_MS);
  return <p class="hint amiss">{amiss(store)}</p>;
}

function More({ store }: { store: LiveStore }) {
  const [open, setOpen] = useState(false);
  return (
    <details class="more" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>All numbers</summary>
      {open && <Table store={store} />}
      <Reading store={store} />
    </details>
  );
}

function Table({ store }: { store: LiveStore }) {
  usePaced(store, SLOW_MS);
  return (
    <table>
      <thead>
        <tr>
          <th scope="col" />
          <th scope="col">Last 10 s</th>
          <th scope="col">Last 30 s</th>
          <th scope="col">So far</th>
        </tr>
      </thead>
      <tbody>
        {ROWS.map(({ name, unit, of }) => (
          <tr key={name}>
            <th scope="row">
              {name} <span class="unit">{unit}</span>
            </th>
            <td>{of(store.last10)}</td>
            <td>{of(store.last30)}</td>
            <td>{of(store.whole)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** For who listens to the page: the words that stay, a few seconds' worth at a time, and only when asked for. */
function Reading({ store }: { store: LiveStore }) {
  const [on, setOn] = useState(false);
  const [text, setText] = useState("");
  const readToS = useRef(0);
  useEffect(() => {
    if (!on) return undefined;
    const timer = setInterval(() => {
      const words = store.paragraphs.flatMap(({ items }) => items).filter((item) => item.start_s >= readToS.current && "text" in item);
      if (words.length === 0) return;
      readToS.current = words.at(-1)?.end_s ?? readToS.current;
      setText(words.map((word) => ("text" in word ? word.text : "")).join(SPACELESS.has(store.language) ? "" : " "));
    }, READ_MS);
    return () => clearInterval(timer);
  }, [store, on]);
  function change(to: boolean) {
    setOn(to);
    setText("");
    readToS.current = store.paragraphs.at(-1)?.items.at(-1)?.end_s ?? 0; // what comes from now on
  }
  return (
    <>
      <p class="hint">
        <label>
          <input type="checkbox" checked={on} onChange={(event) => change(event.currentTarget.checked)} /> Let a screen reader say the words, every few seconds
        </label>
      </p>
      <p class="quiet" aria-live="polite">
        {text}
      </p>
    </>
  );
}
