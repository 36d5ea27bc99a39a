// What every page has in common: the state as the server tells it, commands to the server, and the presentation.

import { openScreen } from "./screen.js";

const RETRY = 1000;
const LASTS = { info: 5000, warning: 20000 }; // ms that a notice stays; an error stays until somebody has read it

class App {
  constructor() {
    this.state = JSON.parse(document.getElementById("state").textContent);
    this.connected = true;
    this.toasts = [];
    this.screen = null; // the presentation in this window, if it is open
    this.ontraces = () => {};
    this.onchange = () => {};
    this.socket = null;
    this.traced = false;
    this.toastNumber = 0;
    // Number of the last notice that was shown; what was said before this page came is told again if it was an error.
    this.noticed = this.state.notice?.level === "error" ? 0 : (this.state.notice?.n ?? 0);
  }

  // Redraw, unless a block is shown: the page keeps still then.
  redraw() {
    if (!this.screen?.running) this.onchange();
  }

  take(state) {
    if (state.n < this.state.n) return; // the answer to a command may come after what it set going is over
    this.state = state;
    const notice = state.notice;
    if (notice && notice.n > this.noticed) {
      this.noticed = notice.n;
      this.say(notice.level, notice.text);
    }
    this.redraw();
  }

  say(level, text) {
    this.toasts = this.toasts.filter((toast) => toast.text !== text).slice(-2);
    const toast = { level, text, n: ++this.toastNumber };
    this.toasts.push(toast);
    if (level in LASTS) setTimeout(() => this.dismiss(toast), LASTS[level]);
    this.redraw();
  }

  dismiss(toast) {
    this.toasts = this.toasts.filter((other) => other !== toast);
    this.redraw();
  }

  async get(path) {
    return this.#ask(path, {});
  }

  // Send a command; give its answer, or null after having said why not.
  async post(path, values = {}) {
    const answer = await this.#ask(`/api/${path}`, this.#body(values));
    if (answer !== null && "activity" in answer) this.take(answer);
    return answer;
  }

  // The same, without a word if the answer is no: for what is asked while somebody types.
  async try(path, values) {
    return this.#ask(`/api/${path}`, this.#body(values), () => {});
  }

  #body(values) {
    return { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(values) };
  }

  async #ask(path, how, complain = (text) => this.say("error", text)) {
    try {
      const response = await fetch(path, how);
      const answer = await response.json();
      if (response.ok) return answer;
      complain(answer.error);
    } catch (error) {
      complain(`The studio did not answer: ${error.message}`);
    }
    return null;
  }

  listen() {
    this.socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws/events`);
    this.socket.onopen = () => {
      this.connected = true;
      this.#watchTraces();
      this.redraw();
    };
    this.socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === "state") this.take(message.state);
      else if (message.type === "traces") this.ontraces(message);
    };
    this.socket.onclose = () => {
      this.connected = false;
      this.redraw();
      setTimeout(() => this.listen(), RETRY);
    };
  }

  // Ask for live traces, given to `ontraces`; or, with null, for no more of them.
  traces(ontraces) {
    this.ontraces = ontraces ?? (() => {});
    this.traced = ontraces !== null;
    this.#watchTraces();
  }

  #watchTraces() {
    if (this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify({ type: "watch_traces", on: this.traced }));
    }
  }

  // Open the presentation and send the command that begins it; without one, for what is already going on. Must be
  // called from a click or a key press.
  present(command = null) {
    if (this.screen !== null) return;
    if (this.state.external) {
      if (command !== null) this.post(command); // other software shows the images
      return;
    }
    this.screen = openScreen({
      onclose: (text) => {
        this.screen = null;
        if (text) this.say("info", text);
        this.redraw();
      },
    });
    if (command !== null) this.post(command).then((answer) => answer ?? this.screen?.close(null));
  }
}

export const app = new App();
