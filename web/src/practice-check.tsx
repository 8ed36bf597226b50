/** Before the start: which microphone, how loud it is, what the browser does to it, and what will become of what it hears. */

import { useEffect, useRef, useState } from "preact/hooks";
import { microphones, oddity, processing, type Microphone, type Processing } from "./mic";
import type { Capture } from "./mic-capture";
import { Meter } from "./mic-meter";
import { StyleFields, type Manner } from "./style";

interface Props {
  capture: Capture;
  starting: boolean;
  again: boolean; // the session is open already
  manner?: Manner; // of a session that is to be; a drill has its own
  problem: string;
  onChoose: (id: string) => Promise<void>;
  onManner?: (manner: Manner) => void;
  onStart: () => void;
  onSaid: (words: string) => void;
}

export function Check({ capture, starting, again, manner, problem, onChoose, onManner, onStart, onSaid }: Props) {
  const [choice, setChoice] = useState<Microphone[]>([]);
  const [track, setTrack] = useState(capture.track);
  const [gone, setGone] = useState(false);
  const startButton = useRef<HTMLButtonElement>(null);
  const device = track.label || "the microphone";

  // Back from a start that was refused: where it was pressed.
  useEffect(() => {
    if (problem) startButton.current?.focus();
  }, []);
  useEffect(() => {
    const list = () => void microphones().then(setChoice);
    list();
    navigator.mediaDevices.addEventListener("devicechange", list);
    return () => navigator.mediaDevices.removeEventListener("devicechange", list);
  }, [track]);
  useEffect(() => {
    const end = () => setGone(true);
    setGone(track.readyState === "ended");
    track.addEventListener("ended", end);
    return () => track.removeEventListener("ended", end);
  }, [track]);

  const odd = oddity(track);
  return (
    <section class="mic" aria-label="Microphone">
      <p class="field">
        <label for="microphone">Microphone</label>
        <select
          id="microphone"
          value={track.getSettings().deviceId ?? ""}
          onChange={(event) => void onChoose(event.currentTarget.value).then(() => setTrack(capture.track))}
        >
          {choice.map(({ id, label }) => (
            <option key={id} value={id}>
              {label}
            </option>
          ))}
        </select>
      </p>
      {gone ? (
        <p class="trouble">{device} is gone. Plug it in again, or choose another one.</p>
      ) : (
        <Meter capture={capture} device={device} onWord={onSaid} />
      )}
      {odd && <p class="note">{odd}</p>}
      <p class="hint sound">{told(processing(track))}</p>
      {!again && manner && onManner && <StyleFields manner={manner} disabled={starting} onChange={onManner} />}
      <p class="actions">
        <button ref={startButton} type="button" class="main large" disabled={gone} aria-disabled={starting} onClick={() => starting || onStart()}>
          {starting ? "Starting…" : again ? "Go on recording" : "Start recording"}
        </button>
      </p>
      {problem && <p class="trouble">{problem}</p>}
      <p class="hint consent">
        From then on your voice is recorded and kept on this server, for your report and nothing else; you can delete it there. If others can be heard, ask them first.
      </p>
    </section>
  );
}

/** What the browser does to the sound, as it says itself. */
function told(found: Processing): string {
  const names = [
    ["echo cancellation", found.echo],
    ["noise suppression", found.noise],
    ["automatic gain", found.gain],
  ] as const;
  const on = names.filter(([, state]) => state === true).map(([name]) => name);
  const unknown = names.filter(([, state]) => state === null).map(([name]) => name);
  if (on.length + unknown.length === 0) return "Echo cancellation, noise suppression and automatic gain are off: what is measured is your voice.";
  const parts = [];
  if (on.length > 0) parts.push(`The browser keeps ${listed(on)} on: loudness and pauses are measured as it makes them, not as you do.`);
  if (unknown.length > 0) parts.push(`It does not say whether ${listed(unknown)} ${unknown.length > 1 ? "are" : "is"} off.`);
  return parts.join(" ").replace(/^It does/, "The browser does");
}

function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1) ?? ""}`;
}
