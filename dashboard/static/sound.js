// Alarm tones after IEC 60601-1-8: high ten pulses (3 + 2, twice), medium three, low none. A browser plays nothing until
// the page was clicked once: that is detected and said. "Audio paused" lasts 120 s and never hides an alarm.

const PAUSE_S = 120;
const RETRY_S = 3;
const REPEAT_S = { high: 10, medium: 20 };
// Onsets of the pulses in s, and their pitch in Hz.
const BURST = {
  high: [0, 0.25, 0.5, 0.95, 1.2, 2.2, 2.45, 2.7, 3.15, 3.4].map((at, i) => [at, [523, 659, 784, 659, 784][i % 5]]),
  medium: [0, 0.35, 0.7].map((at, i) => [at, [523, 494, 440][i]]),
};
const PULSE_S = { high: 0.15, medium: 0.2 };

export class Sound {
  constructor() {
    this.context = null;
    this.pausedUntil = 0;
    this.retry = 0;
    this.next = { high: 0, medium: 0 };
    this.played = 0; // bursts, for the tests
    const unlock = () => this.enable();
    addEventListener("pointerdown", unlock, { passive: true });
    addEventListener("keydown", unlock);
    this.enable();
  }

  /** Try to get permission to sound; browsers grant it after a click or a key. */
  enable() {
    try {
      this.context ??= new AudioContext();
      if (this.context.state === "suspended") this.context.resume().catch(() => {});
    } catch {
      this.context = null; // no audio device
    }
  }

  get blocked() {
    return this.context?.state !== "running";
  }

  get pausedFor() {
    return Math.max(0, this.pausedUntil - performance.now() / 1000);
  }

  togglePause() {
    this.pausedUntil = this.pausedFor > 0 ? 0 : performance.now() / 1000 + PAUSE_S;
  }

  /** Sound what `counts` of active alarms ask for; called about once a second. */
  update(counts, lost) {
    const priority = counts.high || lost ? "high" : counts.medium ? "medium" : null;
    const now = performance.now() / 1000;
    // Once somebody has clicked, sound that does not come, or went with its device, is asked for again and again.
    if (this.blocked && navigator.userActivation?.hasBeenActive) this.#insist(now);
    if (!priority || this.blocked || this.pausedFor > 0 || now < this.next[priority]) return;
    this.next = { high: now + REPEAT_S.high, medium: now + REPEAT_S.medium };
    this.#burst(priority);
  }

  #insist(now) {
    if (now < this.retry) return;
    this.retry = now + RETRY_S;
    // A context that will not run although it may is replaced.
    this.context?.close().catch(() => {});
    this.context = null;
    this.enable();
  }

  #burst(priority) {
    this.played++;
    const c = this.context;
    for (const [at, pitch] of BURST[priority]) {
      const start = c.currentTime + 0.05 + at;
      const gain = c.createGain();
      gain.gain.setValueAtTime(0, start);
      gain.gain.linearRampToValueAtTime(0.25, start + 0.02);
      gain.gain.setValueAtTime(0.25, start + PULSE_S[priority] - 0.03);
      gain.gain.linearRampToValueAtTime(0, start + PULSE_S[priority]);
      gain.connect(c.destination);
      // A fundamental and four harmonics, as the standard asks, so that it is located and heard by older ears.
      for (let k = 1; k <= 5; k++) {
        const tone = c.createOscillator();
        const part = c.createGain();
        part.gain.value = 1 / (1.5 * k);
        tone.frequency.value = pitch * k;
        tone.connect(part).connect(gain);
        tone.start(start);
        tone.stop(start + PULSE_S[priority] + 0.02);
      }
    }
  }
}
