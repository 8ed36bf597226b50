/** What a new session is: its style of speaking, which this browser remembers, who speaks, and the text that is read aloud in it. */

import { useEffect, useState } from "preact/hooks";
import { call, Problem, type Speaker, type Style } from "./api";

const REMEMBERED = "elocute.style";
const READ_ALOUD = "read-aloud";
const MOST_CHARACTERS = 20_000;

export interface Manner {
  style: string; // empty until it is known which there are
  script: string;
  speaker: Speaker;
}

export const PLAIN: Manner = { style: "", script: "", speaker: "adult" };

/** What of it belongs into the wish for a session. */
export function wanted({ style, script, speaker }: Manner): { style?: string; script?: string; speaker?: Speaker } {
  return { ...(style && { style }), ...(speaker !== "adult" && { speaker }), ...(style === READ_ALOUD && script.trim() && { script: script.trim() }) };
}

/** The styles there are, the usual one first. */
export const styles = async (): Promise<Style[]> => (await call<{ rubrics: Style[] }>("GET", "/v1/rubrics")).rubrics;

/** The one that was chosen last, of those there are. */
export function usual(known: readonly Style[]): string {
  const kept = localStorage.getItem(REMEMBERED);
  return (known.find(({ name }) => name === kept) ?? known[0])?.name ?? "";
}

export function StyleFields({ manner, disabled = false, onChange }: { manner: Manner; disabled?: boolean; onChange: (manner: Manner) => void }) {
  const [known, setKnown] = useState<Style[]>([]);
  useEffect(() => {
    styles().then(
      (found) => {
        setKnown(found);
        if (!manner.style) onChange({ ...manner, style: usual(found) });
      },
      (error: unknown) => {
        if (!(error instanceof Problem)) throw error; // the server's usual style will do
      },
    );
  }, []);
  if (known.length === 0) return null;
  const chosen = known.find(({ name }) => name === manner.style);
  return (
    <>
      <p class="field">
        <label for="style">Scored as</label>
        <select
          id="style"
          value={manner.style}
          disabled={disabled}
          aria-describedby="style-about"
          onChange={({ currentTarget: { value: style } }) => {
            localStorage.setItem(REMEMBERED, style);
            onChange({ ...manner, style, speaker: "adult" });
          }}
        >
          {known.map(({ name, title }) => (
            <option key={name} value={name}>
              {title}
            </option>
          ))}
        </select>
      </p>
      <p id="style-about" class="hint about">
        {chosen?.about}
      </p>
      {chosen?.rated && <SpeakerField speaker={manner.speaker} disabled={disabled} onChange={(speaker) => onChange({ ...manner, speaker })} />}
      {manner.style === READ_ALOUD && (
        <p class="field reads">
          <label for="script">
            Text you will read <span>(optional)</span>
          </label>
          <textarea
            id="script"
            rows={5}
            maxLength={MOST_CHARACTERS}
            disabled={disabled}
            value={manner.script}
            onInput={({ currentTarget }) => onChange({ ...manner, script: currentTarget.value })}
          />
        </p>
      )}
    </>
  );
}

/** Who speaks: the listeners that ratings stand for gave children more for the same. */
export function SpeakerField({ speaker, disabled, onChange }: { speaker: Speaker; disabled: boolean; onChange: (speaker: Speaker) => void }) {
  return (
    <p class="field">
      <label for="speaker">Who speaks</label>
      <select id="speaker" value={speaker} disabled={disabled} onChange={(event) => onChange(event.currentTarget.value as Speaker)}>
        <option value="adult">An adult</option>
        <option value="child">A child under 16</option>
      </select>
    </p>
  );
}
