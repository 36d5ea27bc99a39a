// A new study: what looks are for, which images, and what to look for in them.

import { h } from "../dom.js";
import { number, working } from "../ui.js";

const USES = [
  ["one", "Find one thing", "A classifier learns to tell it from the rest."],
  ["several", "Tell classes apart", "Blocks look for one class at a time."],
  ["audit", "Check annotations", "You see those that are hard to believe."],
  ["review", "Review new images", "You see what a classifier is unsure of."],
];
const PACES = [
  [0.1, "10 images a second: for practised eyes"],
  [0.15, "6.7 images a second"],
  [0.2, "5 images a second"],
  [0.25, "4 images a second"],
  [0.3, "3.3 images a second: the surest answers"],
];
const RATES = [
  ["", "As often as in its training"],
  ["0.02", "2 % of the images"],
  ["0.05", "5 %"],
  ["0.12", "12 %"],
  ["0.3", "30 %"],
];
const PAUSE = 400; // ms without a key after which the folder that was typed is looked into

let use = "one";
let folder = ""; // of images, as typed
let folders = null; // its class folders, once the server has listed them: [{name, images}]
let unticked = new Set(); // names of those that are left out
let typing = null;

export function form(app) {
  const { state } = app;
  const busy = state.activity !== "idle";
  const submit = (event) => {
    event.preventDefault();
    app.post("study/create", values(new FormData(event.target)));
  };
  return h(
    "form.card",
    { onsubmit: submit, "aria-label": "New study" },
    h("h2", {}, "New study"),
    h(
      "fieldset.choices.uses",
      { role: "radiogroup", "aria-label": "What looks are for" },
      ...USES.map((one) => choice(app, busy, ...one)),
    ),
    text("images", "Folder of images", HINTS[use], "/home/you/photographs", busy, {
      oninput: (event) => look(app, event.target.value, PAUSE),
      onchange: (event) => look(app, event.target.value, 0),
    }),
    ...asked(app, busy),
    h(
      "div.pair",
      {},
      text("name", "Name", `A folder of this name is made in ${state.home}.`, "spring", busy),
      h(
        "label.field",
        {},
        h("span", {}, "Pace"),
        h("select", { name: "soa", value: "0.2", disabled: busy }, ...PACES.map(([soa, title]) => option(soa, title))),
      ),
    ),
    busy ? working(state) : h("div", {}, h("button.primary", { type: "submit" }, "Create study")),
  );
}

const HINTS = {
  one: "On this computer; folders in it may say what is in the images, but need not.",
  several: "On this computer; one folder in it for each class, if it has them.",
  audit: "On this computer; the images whose annotations are to be checked.",
  review: "On this computer; images that the classifier has not seen.",
};

function values(data) {
  const { name, images, soa, ...given } = Object.fromEntries(data);
  const made = { name, images, soa: Number(soa) };
  if (use === "one") return { ...made, target: given.target };
  if (use === "several") return { ...made, classes: classes(given) };
  if (use === "audit") {
    const annotations = given.annotations.trim();
    return { ...made, use, classes: classes(given), ...(annotations ? { annotations } : {}) };
  }
  const rate = given.target_rate ? { target_rate: Number(given.target_rate) } : {};
  return { ...made, use, model: given.model, ...(given.target.trim() ? { target: given.target } : {}), ...rate };
}

// Those that are ticked; where the folder has no class folders, those that were typed.
function classes({ classes: typed }) {
  if (folders?.length > 0) return folders.map(({ name }) => name).filter((name) => !unticked.has(name));
  return typed === undefined
    ? []
    : typed
        .split(",")
        .map((name) => name.trim())
        .filter(Boolean);
}

function choice(app, busy, value, title, what) {
  const take = () => {
    use = value;
    app.redraw();
  };
  return h(
    "label.check.choice",
    {},
    h("input", { type: "radio", name: "use", value, checked: use === value, disabled: busy, onchange: take }),
    h("span", {}, title, h("small", {}, what)),
  );
}

function asked(app, busy) {
  if (use === "one") {
    const known = (folders ?? []).map(({ name }) => h("option", { value: name }));
    return [
      h("datalist", { id: "class-folders", key: "list" }, ...known),
      text("target", "What to look for", "The name of one of its folders, or any words.", "cats", busy, {
        list: "class-folders",
      }),
    ];
  }
  if (use === "several") {
    return [
      folders?.length > 0
        ? tickable(app, busy, "Classes")
        : text("classes", "Classes", "Names with commas between; its folders are listed here if it has some.", "roses, tulips", busy),
    ];
  }
  if (use === "audit") {
    return [
      text("annotations", "Annotations", "CSV, COCO, Label Studio or Hugging Face; empty for the class folders.", "labels.csv", busy, {
        required: false,
      }),
      folders?.length > 0
        ? tickable(app, busy, "Classes to check")
        : text("classes", "Classes to check", "Names with commas between; empty for all.", "roses, tulips", busy, { required: false }),
    ];
  }
  const trained = app.state.studies.filter((one) => one.use === "train" && one.trained);
  return [
    h(
      "label.field",
      { key: "model" },
      h("span", {}, "Classifier"),
      h(
        "select",
        { name: "model", required: true, disabled: busy },
        ...trained.map(({ folder: path, name, names }) => option(path, `${name}: ${names.join(", ")}`)),
      ),
      h("small", {}, trained.length > 0 ? "Of a study that has been trained." : "No study here has been trained yet."),
    ),
    text("target", "What to look for", "One of its classes; empty if it knows one thing only.", "cats", busy, { required: false }),
    h(
      "label.field",
      { key: "rate" },
      h("span", {}, "How often it will be there"),
      h("select", { name: "target_rate", value: "", disabled: busy }, ...RATES.map(([rate, title]) => option(rate, title))),
    ),
  ];
}

function tickable(app, busy, title) {
  const tick = (name) => (event) => {
    unticked[event.target.checked ? "delete" : "add"](name);
    app.redraw();
  };
  const boxes = folders.map(({ name, images }) =>
    h(
      "label.check",
      {},
      h("input", { type: "checkbox", checked: !unticked.has(name), disabled: busy, onchange: tick(name) }),
      h("span", {}, name, " ", h("span.muted.small", {}, number(images))),
    ),
  );
  return h(
    "fieldset.field",
    { key: "tickable", "aria-label": title },
    h("span", { style: "font-weight:550" }, title),
    h("div.ticks", {}, ...boxes),
  );
}

// See which class folders there are, once the person has stopped typing.
function look(app, typed, after) {
  const wanted = typed.trim();
  clearTimeout(typing);
  if (wanted === folder && folders !== null) return;
  typing = setTimeout(async () => {
    folder = wanted;
    const answer = wanted === "" ? null : await app.try("study/classes", { images: wanted });
    if (folder !== wanted) return;
    folders = answer?.classes ?? null;
    unticked = new Set();
    app.redraw();
  }, after);
}

const option = (value, title) => h("option", { value: String(value) }, title);

function text(name, title, hint, placeholder, busy, how = {}) {
  return h(
    "label.field",
    { key: `${name}-${how.required === false}` },
    h("span", {}, title),
    h("input", {
      type: "text",
      name,
      required: true,
      placeholder,
      autocomplete: "off",
      spellcheck: "false",
      disabled: busy,
      ...how,
    }),
    h("small", {}, hint),
  );
}
