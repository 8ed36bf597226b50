/** The microphones of this machine, and one of them opened as it is: what flatters a voice (echo, noise and gain control) changes what is measured. */

const REMEMBERED = "elocute.microphone";
const PLAIN = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const PLAYBACK = /^monitor of|stereo ?mix|what u hear|loopback|blackhole|soundflower|vb-audio|cable output/i; // what the machine plays, as a microphone
const TELEPHONE_HZ = 16_000;

export interface Microphone {
  id: string;
  label: string;
}

/** What the browser does to the sound; null where it does not say, which is not off. */
export interface Processing {
  echo: boolean | null;
  noise: boolean | null;
  gain: boolean | null;
}

/** Those there are. Without permission they have no names, and there is nothing to choose from. */
export async function microphones(): Promise<Microphone[]> {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter(({ kind, deviceId, label }) => kind === "audioinput" && deviceId && label).map(({ deviceId, label }) => ({ id: deviceId, label }));
}

/** Opens one: the one asked for, else the one used last, else the browser's own choice. Raises DOMException, or Insecure. */
export async function openMicrophone(id: string | null = localStorage.getItem(REMEMBERED)): Promise<MediaStream> {
  // Over plain http from another machine there is no mediaDevices at all.
  if (!window.isSecureContext) throw new Insecure();
  const ask = (device: MediaTrackConstraints) => navigator.mediaDevices.getUserMedia({ audio: { ...PLAIN, channelCount: 1, ...device } });
  try {
    return await ask(id ? { deviceId: { exact: id } } : {});
  } catch (error) {
    const gone = error instanceof DOMException && (error.name === "OverconstrainedError" || error.name === "NotFoundError");
    if (!id || !gone) throw error;
    return ask({});
  }
}

export function remember(id: string): void {
  localStorage.setItem(REMEMBERED, id);
}

/** What the browser really does, whatever it was asked for. */
export function processing(track: MediaStreamTrack): Processing {
  const { echoCancellation, noiseSuppression, autoGainControl } = track.getSettings() as Record<string, unknown>;
  // echoCancellation may be a mode ("all", "remote-only") instead of true.
  const read = (value: unknown) => (value === undefined ? null : value !== false);
  return { echo: read(echoCancellation), noise: read(noiseSuppression), gain: read(autoGainControl) };
}

/** What is odd about this device, in a sentence; null where nothing is. */
export function oddity(track: MediaStreamTrack): string | null {
  if (PLAYBACK.test(track.label)) return `${track.label} carries what this computer plays, not what you say. Choose a microphone.`;
  const { sampleRate } = track.getSettings();
  if (sampleRate && sampleRate <= TELEPHONE_HZ) return `${track.label} sounds like a telephone (${sampleRate / 1000} kHz), as Bluetooth headsets do. Another microphone is measured better.`;
  return null;
}

/** The page came over plain http from another machine: no browser gives it a microphone. */
export class Insecure extends Error {
  override readonly name = "Insecure";
}

/** What to tell someone whose microphone could not be opened, by the name of the error. */
export function microphoneProblem(name: string): string {
  if (name === "Insecure") return "Browsers give the microphone only to pages over https, or on the machine itself. Open this page with https.";
  if (name === "NotAllowedError") return "The browser was not allowed to use the microphone. Allow it in the address bar and try again.";
  if (name === "NotFoundError") return "No microphone was found. Plug one in and try again, or drop a recording instead.";
  return "The microphone could not be opened. Another program may be using it: close that one and try again.";
}
