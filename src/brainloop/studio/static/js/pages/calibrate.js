// Calibrate: who sits here and what they agree to; what answers; two to four minutes of looking; how well that went.

import { erpChart } from "../charts.js";
import { h } from "../dom.js";
import { button, confirmed, duration, facts, fixed, head, interval, notLive, note, number, percent, working } from "../ui.js";

const agreed = { consent: false, no_epilepsy: false };
let newcomer = false; // whether somebody new fills in the form although others are known

export const needsStudy = true;
export const done = (state) => Boolean(state.calibration?.accepted);

export function view(app) {
  const { state } = app;
  const title = head(
    "Calibrate",
    "Look at images whose answer is known, so that your response can be told apart from the rest.",
  );
  if (state.activity === "calibrating" || state.activity === "stopping") return [title, running(app)];
  if (state.activity === "training")
    return [
      title,
      h(
        "section.card",
        {},
        h("h2", {}, "Learning your response"),
        working(state),
        h("p.muted", {}, "You can take your eyes off the screen."),
      ),
    ];
  if (state.study.observer !== "live") return [title, note("warn", notLive(state.study))];
  if (state.person === null || newcomer) return [title, consent(app)];
  return [title, h("div.aside", {}, h("div.stack", {}, person(app), modes(app), start(app)), result(app))];
}

// ---- who, and what they agree to

function consent(app) {
  const { people, consent_text: text } = app.state;
  const tick = (name) => (event) => {
    agreed[name] = event.target.checked;
    app.redraw();
  };
  const sit = async (event) => {
    event.preventDefault();
    const name = new FormData(event.target).get("name").trim();
    if (await app.post("person", { name, ...agreed })) {
      newcomer = false;
      Object.assign(agreed, { consent: false, no_epilepsy: false });
      app.redraw();
    }
  };
  const back = (name) => async () => {
    newcomer = false;
    await app.post("person", { name, consent: true, no_epilepsy: true });
  };
  const known = people.map((one) =>
    h(
      "li",
      {},
      h(
        "button",
        { type: "button", onclick: back(one.name) },
        h("span", {}, one.name),
        h("span.muted", {}, one.decoder ? "has calibrated" : ""),
      ),
    ),
  );
  return h(
    "div.stack",
    {},
    known.length === 0 ? null : h("section.card", {}, h("h2", {}, "Who sits here?"), h("ul.list", {}, ...known)),
    h(
      "form.card",
      { onsubmit: sit, "aria-label": "Consent" },
      h("h2", {}, known.length === 0 ? "Before the first recording" : "Somebody new"),
      h(
        "div.two.consent",
        {},
        h(
          "div.stack",
          {},
          h("h3", {}, "What happens"),
          h("p.reading", { tabindex: "0" }, text.consent),
          h(
            "label.check",
            {},
            h("input", { type: "checkbox", checked: agreed.consent, onchange: tick("consent") }),
            h("span", {}, "I have read this and agree to be recorded."),
          ),
        ),
        h(
          "div.stack",
          {},
          h("h3", {}, "Flashing images"),
          h("p.reading", { tabindex: "0" }, text.epilepsy),
          h(
            "label.check",
            {},
            h("input", { type: "checkbox", checked: agreed.no_epilepsy, onchange: tick("no_epilepsy") }),
            h("span", {}, "I do not know of any photosensitive epilepsy or seizure, mine or in my close family."),
          ),
        ),
      ),
      h(
        "div.row",
        { style: "align-items:end" },
        h(
          "label.field",
          { style: "width:280px" },
          h("span", {}, "Name or code"),
          h("input", {
            type: "text",
            name: "name",
            required: true,
            maxlength: "40",
            pattern: "[A-Za-z0-9]+",
            title: "Letters and digits",
            autocomplete: "off",
            placeholder: "p01",
          }),
        ),
        h(
          "button.primary",
          { type: "submit", disabled: !(agreed.consent && agreed.no_epilepsy) },
          "Agree and sit down",
        ),
        known.length > 0 && app.state.person
          ? button("Cancel", () => {
              newcomer = false;
              app.redraw();
            })
          : null,
      ),
      h(
        "p.hint",
        {},
        "Letters and digits. It becomes part of file names: a code keeps names out of recordings that are shared.",
      ),
    ),
  );
}

function person(app) {
  const other = () => {
    newcomer = true;
    app.redraw();
  };
  return h(
    "section.card",
    {},
    h(
      "div.row.spread",
      {},
      h("div", {}, h("h2", {}, app.state.person.name), h("p.muted.small", {}, "has agreed to be recorded")),
      button("Change", other, { kind: "plain" }),
    ),
  );
}

// ---- what answers

const MODES = [
  ["headset", "Headset", "Only look. Your brain's response is read."],
  ["keyboard", "Space bar", "Press it at each target, as fast as you can."],
  ["both", "Both", "Look and press; what both say is added up."],
];

function modes(app) {
  const { mode, headset } = app.state;
  const choices = MODES.map(([value, title, what]) =>
    h(
      "label.check.choice",
      {},
      h("input", {
        type: "radio",
        name: "mode",
        value,
        checked: mode === value,
        disabled: value !== "keyboard" && headset === null,
        onchange: () => app.post("mode", { mode: value }),
      }),
      h(
        "span",
        {},
        title,
        h("small", {}, value !== "keyboard" && headset === null ? "No headset is connected." : what),
      ),
    ),
  );
  return h("fieldset.choices", { role: "radiogroup", "aria-label": "What answers" }, ...choices);
}

// ---- looking

function missing({ study, mode, headset }) {
  const { target, targets } = study.calibrates;
  if (targets < 3) return [`Pick at least 3 images that show ${target} first.`, "#study", "Pick examples"];
  if (mode !== "keyboard" && headset === null) return ["No headset is connected.", "#headset", "Connect a headset"];
  if (mode !== "keyboard" && headset.state !== "streaming")
    return ["The headset is silent.", "#headset", "See to the headset"];
  return null;
}

function start(app) {
  const lacks = missing(app.state);
  if (lacks)
    return h("div.stack.tight", {}, note("warn", lacks[0]), h("div", {}, h("a.button", { href: lacks[1] }, lacks[2])));
  const again = app.state.calibration !== null;
  const press =
    app.state.mode === "headset" ? "Count the targets in your head." : "Press the space bar at each target.";
  return h(
    "div.stack.tight",
    {},
    h(
      "div",
      {},
      button(again ? "Calibrate again" : "Start calibration", () => app.present("calibrate/start"), {
        kind: again ? "" : "primary.big",
        disabled: app.state.activity !== "idle",
      }),
    ),
    h(
      "p.hint",
      {},
      `2 to 4 minutes, full screen, with rests. Sit still, look at the cross, blink in the rests. ${press}`,
    ),
  );
}

function running(app) {
  const { state } = app;
  const stop = button("Stop", () => app.post("calibrate/stop"), { disabled: state.activity === "stopping" });
  const open = state.screen.connected
    ? "It is shown in another window."
    : "The presentation is closed; it waits for you where it was.";
  return h(
    "section.card",
    {},
    h("h2", {}, "In progress"),
    working(state),
    app.screen ? null : note("warn", open),
    h(
      "div.row",
      {},
      app.screen || state.activity === "stopping"
        ? null
        : button(state.screen.connected ? "Show it here" : "Go on", () => app.present(), { kind: "primary" }),
      stop,
    ),
  );
}

// ---- how it went

function result(app) {
  const { calibration: c, headset } = app.state;
  if (c === null) {
    return h(
      "section.card",
      {},
      h("h2", {}, "What will happen"),
      h(
        "ol.bullets",
        { style: "list-style:decimal" },
        h("li", {}, "The screen goes dark, with a cross in the middle."),
        h("li", {}, "Images flash by; about one in eight is a target."),
        h("li", {}, "After each block there is a rest. Esc pauses at any time."),
        h("li", {}, "It ends by itself once enough is known, and shows how well your targets can be told apart."),
      ),
      headset && app.state.mode !== "keyboard" ? quality(headset.quality) : null,
    );
  }
  const on = async () => {
    const text =
      "Labels will be poor, and more looks are needed for the same classifier. Everything stays marked as made with this calibration.";
    if (c.good || (await confirmed("Go on with a weak calibration?", `${c.verdict} ${text}`, "Go on anyway"))) {
      if (await app.post("calibrate/accept", { anyway: !c.good })) location.hash = "watch";
    }
  };
  const rejected = Object.entries(c.rejected);
  return h(
    "section.card",
    {},
    h(
      "div.row.spread",
      {},
      h("h2", {}, "Can your targets be told apart?"),
      c.good
        ? button("Next: Watch", on, { kind: "primary" })
        : c.accepted
          ? h("a.button.primary", { href: "#watch" }, "Next: Watch")
          : button("Go on anyway…", on),
    ),
    h(
      "div.row",
      { style: "gap:24px" },
      h(
        "dl.facts",
        {},
        h("div", {}, h("dt", {}, "AUC"), h("dd", { style: "font-size:var(--huge);line-height:1.15" }, fixed(c.auc))),
      ),
      h("div", { style: "flex:1;min-width:240px" }, interval(c)),
    ),
    note(c.good ? "good" : "warn", c.verdict),
    c.advice.length > 0
      ? h(
          "div.stack.tight",
          {},
          h("h3", {}, c.good ? "What could still help" : "What may help"),
          h("ul.bullets", {}, ...c.advice.map((text) => h("li", {}, text))),
        )
      : null,
    c.erp ? erpChart("erp", c.erp) : null,
    c.keys
      ? facts([
          ["Reaction time", `${Math.round(1000 * c.keys.mean)} ms`],
          ["SD", `${Math.round(1000 * c.keys.sd)} ms`],
          ["Targets pressed at", percent(c.keys.hit_rate)],
          ["False presses a minute", fixed(c.keys.false_per_minute, 1)],
        ])
      : null,
    facts([
      ["Looks", number(c.presentations)],
      ["Targets", number(c.targets)],
      ["Time", duration(c.seconds)],
      rejected.length > 0 ? ["Left out", rejected.map(([why, n]) => `${n} ${why}`).join(", ")] : null,
    ]),
  );
}

function quality(channels) {
  if (channels.length === 0) return null;
  const good = channels.filter((one) => one.verdict === "good").length;
  const all = good === channels.length;
  return note(
    all ? "good" : "warn",
    all
      ? `All ${good} channels look good.`
      : [
          `${good} of ${channels.length} channels look good. `,
          h("a", { href: "#headset" }, "See to the others"),
          " first.",
        ],
  );
}
