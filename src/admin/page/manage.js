'use strict';
// "Add service" and "Edit": forms over the API. Whatever is written was checked before: the form shows what would change, and what the
// test of it says. A secret stands in its field only, and is taken out of it when the dialog closes. Uses the helpers of page.js.

const SETTINGS = 'include: services.d\nadmin:\n  token: { file: /run/secrets/sidekey-admin }\n  manage: services.d\n';
const panel = byId('service-dialog');
let presets = null;  // what can be added
let task = null;     // what the dialog is for: { name, preset } or { name, definition }
let fields = new Map(); // of the form: by the name that the API has for them
let rewritten = false; // the lines were changed by hand
let edition = 0;     // counts what was typed and chosen

// ---- Fields

function labelled(control, text, hint = '') {
  const row = make('div', 'field');
  const label = make('label', '', text);
  control.id = `field-${fields.size}-${Math.random().toString(36).slice(2)}`;
  label.htmlFor = control.id;
  const error = make('p', 'form-error');
  error.id = `${control.id}-error`;
  error.setAttribute('role', 'alert');
  const note = make('p', 'quiet', hint);
  note.id = `${control.id}-note`;
  show(note, Boolean(hint));
  control.setAttribute('aria-describedby', `${error.id} ${note.id}`);
  row.append(label, control, note, error);
  return { row, control, error };
}
function entry(type = 'text', name = 'input') {
  const control = make(name);
  if (name === 'input') control.type = type;
  control.autocomplete = 'off';
  control.spellcheck = false;
  control.setAttribute('autocapitalize', 'off');
  return control;
}
function choice(options) {
  const control = make('select');
  control.append(...options.map(([value, text]) => {
    const option = make('option', '', text);
    option.value = value;
    return option;
  }));
  return control;
}
function question(name, prompt, value = '', hint = '') {
  const field = labelled(entry(), prompt, hint);
  field.control.value = value;
  field.control.dataset.field = name;
  fields.set(name, field);
  return field.row;
}

/** A secret: where it is, and then that. `kept` is where it is now. */
function secret(name, prompt, kept = null) {
  const set = make('fieldset', 'field');
  set.append(make('legend', '', prompt));
  const typed = last.access.can_manage && (!task.definition || task.definition.managed);
  const source = choice([
    ...(kept ? [['', `stays: ${kept}`]] : []),
    ...(typed ? [['value', 'I type it here'], ['lines', 'I paste it here, several lines (a private key)']] : []),
    ['file', 'it is in a file on the machine of Sidekey'],
    ['env', 'it is in an environment variable of Sidekey'],
    ['stored', 'it is in a secret store (Vault, OpenBao, AWS)'],
  ]);
  source.setAttribute('aria-label', `Where it is: ${prompt}`);
  source.dataset.source = name;
  const controls = { value: entry('password'), lines: entry('', 'textarea'), file: entry(), env: entry(), stored: entry() };
  controls.lines.rows = 4;
  const texts = {
    value: typed ? 'Kept in a new file that only Sidekey can read. It is not shown again.' : '',
    lines: 'Kept in a new file that only Sidekey can read. It is not shown again.',
    file: typed ? 'A file in `secrets` of the managed folder, or one that a service uses already.' : 'Its path, such as /run/secrets/crm.',
    env: typed ? 'One that a service uses already.' : 'Its name, such as CRM_SECRET.',
    stored: `Such as vault:secret/crm#token or aws_secrets_manager:prod/crm#token.${typed ? ' One that a service uses already.' : ''}`,
  };
  const error = make('p', 'form-error');
  error.setAttribute('role', 'alert');
  const note = make('p', 'quiet');
  for (const [kind, control] of Object.entries(controls)) {
    const labels = { file: 'Path of the file: ', env: 'Name of the variable: ', stored: 'Place in the store: ' };
    control.setAttribute('aria-label', `${labels[kind] ?? ''}${prompt}`);
    control.dataset.field = kind === 'value' ? name : `${name}-${kind}`;
  }
  const choose = () => {
    for (const [kind, control] of Object.entries(controls)) show(control, kind === source.value);
    explain(note, texts[source.value] ?? '');
    show(note, Boolean(source.value));
  };
  if (/private key|PEM/i.test(prompt) && typed && !kept) source.value = 'lines';
  source.addEventListener('change', () => { choose(); controls[source.value]?.focus(); });
  choose();
  set.append(source, ...Object.values(controls), note, error);
  const read = () => {
    const kind = source.value;
    if (!kind) return null;
    const text = kind === 'value' || kind === 'lines' ? controls[kind].value : controls[kind].value.trim();
    return { [kind === 'lines' ? 'value' : kind]: text };
  };
  fields.set(name, { row: set, error, read, get control() { return controls[source.value] ?? source; } });
  return set;
}

// ---- The dialog

function openPanel(title) {
  working(false);
  fields = new Map();
  rewritten = false;
  say(byId('service-title'), title);
  for (const id of ['service-fields', 'service-about', 'service-diff']) byId(id).replaceChildren();
  for (const id of ['choose', 'service-lines', 'test-path-row', 'service-other', 'service-about']) show(byId(id), false);
  byId('test-path').value = '';
  byId('do-test').checked = true;
  byId('lines').value = '';
  byId('lines-details').open = false;
  reset();
  if (!panel.open) panel.showModal();
}
/** Nothing is checked any more. */
function reset() {
  for (const { error } of fields.values()) say(error, '');
  say(byId('lines-error'), '');
  say(byId('path-error'), '');
  outcome('', '');
  show(byId('write'), false);
  show(byId('write-anyway'), false);
  show(byId('fragment-row'), false);
  byId('service-diff').replaceChildren();
}
function closePanel() {
  // Out of memory as far as a page can do that.
  for (const control of panel.querySelectorAll('input, textarea')) control.value = '';
  byId('service-fields').replaceChildren();
  fields = new Map();
  task = null;
  if (panel.open) panel.close();
}
function outcome(severity, text) {
  dress(byId('service-outcome'), `result ${severity}`);
  explain(byId('service-outcome'), text);
}
function working(on) {
  for (const button of panel.querySelectorAll('button')) {
    if (button.id !== 'service-cancel') button.setAttribute('aria-disabled', String(on));
  }
}

// ---- Add

async function add() {
  openPanel('Add a service');
  task = { add: true, name: '', preset: null };
  hint();
  if (!presets) {
    const answer = await call('GET', '/api/v1/presets').then((first) => (first.status === 401 ? callWithToken('GET', '/api/v1/presets') : first)).catch(() => null);
    if (!answer?.ok) { outcome('error', answer ? told(answer) : 'Sidekey did not answer.'); return; }
    presets = answer.body.presets;
  }
  show(byId('choose'), true);
  byId('provider-search').value = '';
  filter();
  byId('provider-search').focus();
}

/** What the page can do here, if it cannot write. */
function hint() {
  const about = byId('service-about');
  const { can_manage: can, write_requires_token: write } = last.access;
  if (can) return;
  const text = write === null
    ? 'Nothing can be changed here, because the configuration has no admin token and no folder for services. `sidekey add` in a shell adds a service; for this page the configuration needs:'
    : 'This page shows the lines to commit: the configuration has no folder that it may write to. With this it adds the service itself:';
  const paragraph = make('p');
  explain(paragraph, text);
  about.replaceChildren(paragraph, make('pre', '', SETTINGS));
  show(about, true);
}

function filter() {
  const words = byId('provider-search').value.trim().toLowerCase().split(/\s+/);
  const found = presets.filter(({ id, title }) => words.every((word) => `${id} ${title}`.toLowerCase().includes(word)));
  const list = byId('provider');
  list.replaceChildren(...found.map(({ id, title }) => {
    const option = make('option', '', title);
    option.value = id;
    return option;
  }));
  list.size = Math.min(7, Math.max(2, found.length));
  show(byId('no-provider'), found.length === 0);
  if (found.length === 1) list.value = found[0].id;
  pick();
}

function pick() {
  const preset = presets.find(({ id }) => id === byId('provider').value) ?? null;
  if (preset === task.preset) return;
  task.preset = preset;
  fields = new Map();
  rewritten = false;
  edition += 1;
  const rows = [];
  if (preset) {
    rows.push(question('name', 'Name of the service', free(preset.id), 'The first part of the path at which callers reach it: /NAME/…'));
    for (const { name, prompt, default: value, optional } of preset.questions) {
      rows.push(question(name, optional ? `${prompt} (optional)` : prompt, value ?? ''));
    }
    if (preset.obtain && preset.secrets.length) {
      const where = make('p', 'quiet', `Where to get ${preset.secrets.length > 1 ? 'them' : 'it'}: ${preset.obtain}. `);
      const link = make('a', '', 'Documentation');
      link.href = preset.docs;
      link.target = '_blank';
      link.rel = 'noopener noreferrer';
      where.append(link);
      rows.push(where);
    }
    for (const { name, prompt } of preset.secrets) rows.push(secret(name, prompt));
    if (preset.notes.length) {
      const notes = make('ul', 'notes');
      notes.append(...preset.notes.map((note) => { const line = make('li'); explain(line, note); return line; }));
      rows.push(notes);
    }
  }
  byId('service-fields').replaceChildren(...rows);
  show(byId('service-lines'), false);
  show(byId('test-path-row'), Boolean(preset) && last.access.can_manage);
  show(byId('check'), last.access.write_requires_token !== null);
  byId('test-path').placeholder = 'that of the provider';
  reset();
}
function free(id) {
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? id : `${id}-${number}`;
    if (!known.has(name)) return name;
  }
}

// ---- Edit

async function edit(name) {
  const answer = await callWithToken('POST', `/api/v1/services/${encodeURIComponent(name)}/definition`).catch(() => ({ ok: false, status: 0, body: { detail: 'Sidekey did not answer.' } }));
  if (!answer) return;
  openPanel(`Edit ${name}`);
  if (!answer.ok) { task = null; outcome('error', told(answer)); show(byId('check'), false); return; }
  const definition = answer.body;
  task = { name, definition };
  const about = byId('service-about');
  about.replaceChildren(make('p', 'quiet', definition.managed
    ? `In ${definition.file}.`
    : `In ${definition.file}, which this page does not write. It shows the change to commit, and tests nothing.`));
  show(about, true);
  byId('service-fields').replaceChildren(...definition.secrets.map(({ key, source }) => secret(key, key, source)));
  byId('lines').value = definition.lines;
  byId('lines-details').open = true;
  show(byId('service-lines'), true);
  show(byId('test-path-row'), definition.managed);
  show(byId('check'), true);
  byId('test-path').placeholder = '/';
  const off = known.get(name)?.state === 'disabled';
  say(byId('switch'), off ? 'Enable…' : 'Disable…');
  byId('switch').dataset.action = off ? 'enable' : 'disable';
  show(byId('service-other'), true);
  byId('lines').focus();
}

// ---- Check and write

/** The request of the form. */
function wanted() {
  const secrets = {};
  const answers = {};
  for (const [name, field] of fields) {
    if (field.read) { const place = field.read(); if (place) secrets[name] = place; }
    else if (name !== 'name') answers[name] = field.control.value.trim();
  }
  const path = byId('test-path').value.trim();
  const more = { ...(path ? { test_path: path } : {}), ...(byId('do-test').checked ? {} : { test: false }) };
  const lines = byId('lines').value;
  if (task.definition) {
    const changed = lines !== task.definition.lines;
    return ['PUT', `/api/v1/services/${encodeURIComponent(task.name)}`, { secrets, revision: task.definition.revision, ...(changed ? { lines } : {}), ...more }];
  }
  // An answer that is empty is none.
  for (const [name, answer] of Object.entries(answers)) {
    const asked = task.preset.questions.find((one) => one.name === name);
    if (!answer && (asked.optional || asked.default !== null)) delete answers[name];
  }
  const name = fields.get('name').control.value.trim();
  return ['POST', '/api/v1/services', { name, preset: task.preset.id, answers, secrets, ...(rewritten ? { lines } : {}), ...more }];
}

/** Makes one call, and shows what it says. Returns the answer if all is well. */
async function ask(method, path, body) {
  const [asking, at] = [task, edition];
  working(true);
  reset();
  outcome('', body.dry_run === false ? 'Writing…' : 'Checking…');
  let answer; // null: no admin token was given; undefined: no answer
  try {
    answer = await callWithToken(method, path, body);
  } catch { /* said below */ }
  // The dialog may be closed by now, and be open for something else.
  if (task !== asking) return null;
  working(false);
  if (!answer?.ok) outcome(answer === null ? '' : 'error', answer === null ? '' : answer ? told(answer) : 'Sidekey did not answer.');
  if (!answer?.ok) return null;
  if (edition !== at && !answer.body.written) {
    outcome('', 'The form has changed in the meantime: check it again.');
    return null;
  }
  tell(answer.body);
  return answer.body;
}

function tell(change) {
  const left = [];
  let first = null;
  for (const { field, file, line, path, message } of change.errors) {
    const place = field === 'lines' ? { error: byId('lines-error'), control: byId('lines') } : fields.get(field);
    const shown = place && !(rewritten && place.control !== byId('lines') && line);
    if (shown) { say(place.error, place.error.textContent ? `${place.error.textContent} ${message}` : message); first ??= place.control; }
    else left.push(`${[file, line].filter(Boolean).join(':')}${path ? ` ${path}` : ''}: ${message}`.replace(/^: /, ''));
  }
  const { test } = change;
  const said = [
    ...(test ? [`${test.ok ? 'The test succeeded' : 'The test failed'}: ${test.summary}`, ...test.suggestions.map((line) => `– ${line}`)] : []),
    ...(change.not_tested ? [`Not tested: ${change.not_tested}`] : []),
    change.message, ...left,
    ...(change.unused_secret_files.length ? [`No longer used, and still there: ${change.unused_secret_files.join(', ')}`] : []),
  ];
  outcome(change.ok ? 'ok' : 'error', said.join('\n'));
  byId('service-diff').replaceChildren(...change.diff.split('\n').filter(Boolean).map((line) => make('span', / \+ /.test(line.slice(0, 9)) ? 'plus' : 'minus', `${line}\n`)));
  if (task.add && change.lines !== null) {
    if (!rewritten) byId('lines').value = change.lines;
    show(byId('service-lines'), true);
  }
  if (change.errors.some(({ field }) => field === 'lines')) byId('lines-details').open = true;
  const text = change.lines === null ? change.diff : change.lines;
  if (change.ok && !change.managed) {
    byId('fragment').value = task.add ? `services:\n${text}` : text;
    byId('fragment').rows = Math.min(16, text.split('\n').length + 1);
    show(byId('fragment-row'), true);
  }
  if (first) first.focus();
  else byId('service-outcome').scrollIntoView({ block: 'nearest' });
}

async function check() {
  if (!task || (task.add && !task.preset)) { outcome('error', 'Choose a provider first.'); return; }
  const [method, path, body] = wanted();
  const change = await ask(method, path, { ...body, dry_run: true });
  if (!change?.managed || change.errors.length) return;
  pending(method, path, body, change, task.add ? 'Add' : 'Save', Boolean(change.test && !change.test.ok));
}

/** Offers to write what was checked. */
function pending(method, path, body, change, word, failed) {
  task.next = { method, path, body: { ...body, dry_run: false, ...(task.add ? {} : { revision: change.revision }) } };
  say(byId('write'), word);
  say(byId('write-anyway'), `${word} without a test`);
  show(byId('write'), change.ok);
  show(byId('write-anyway'), failed);
  byId(failed ? 'write-anyway' : 'write').focus();
}

async function write(more = {}) {
  if (!task?.next) return;
  const { method, path, body } = task.next;
  const added = task.add ? body.name : task.name;
  const isNew = Boolean(task.add);
  const change = await ask(method, path, { ...body, ...more });
  if (!change?.written) return;
  closePanel();
  const result = byId('reloaded');
  const unused = change.unused_secret_files.length ? `\nNo longer used, and still there: ${change.unused_secret_files.join(', ')}` : '';
  const reach = isNew && change.running ? ` Callers reach it at /${added}/… on the address for callers.` : '';
  dress(result, 'notice ok');
  say(result, `${change.message}${reach}${unused}`);
  show(result, true);
  await refresh();
  const card = cards.get(added);
  if (card?.item.isConnected) card.title.focus();
}

/** Switches the service, or removes it, after a look at what changes. */
async function other(action, word) {
  const path = `/api/v1/services/${encodeURIComponent(task.name)}/${action}`;
  const change = await ask('POST', path, { dry_run: true });
  if (change?.managed && change.ok) pending('POST', path, {}, change, `${word} ${task.name}`, false);
  else if (change?.managed && change.test) pending('POST', path, {}, change, `${word} ${task.name}`, true);
}

const free_to = (button) => button.getAttribute('aria-disabled') !== 'true';
byId('add').addEventListener('click', add);
byId('provider-search').addEventListener('input', filter);
byId('provider-search').addEventListener('keydown', (event) => {
  if (event.key === 'ArrowDown') { event.preventDefault(); byId('provider').focus(); }
  if (event.key === 'ArrowDown' && !byId('provider').value) { byId('provider').selectedIndex = 0; pick(); }
  if (event.key === 'Enter') { event.preventDefault(); if (!byId('provider').value) { byId('provider').selectedIndex = 0; pick(); } fields.get('name')?.control.focus(); }
});
byId('provider').addEventListener('change', pick);
byId('service-form').addEventListener('submit', (event) => { event.preventDefault(); if (free_to(byId('check'))) check(); });
byId('service-form').addEventListener('input', (event) => {
  if (event.target === byId('lines')) rewritten = Boolean(task?.add);
  if (event.target.closest('#choose, #fragment-row')) return;
  edition += 1;
  reset();
});
byId('write').addEventListener('click', () => { if (free_to(byId('write'))) write(); });
byId('write-anyway').addEventListener('click', () => { if (free_to(byId('write-anyway'))) write({ test: false }); });
byId('switch').addEventListener('click', (event) => {
  const { action } = event.currentTarget.dataset;
  if (free_to(byId('switch'))) other(action, action === 'enable' ? 'Enable' : 'Disable');
});
byId('remove').addEventListener('click', () => { if (free_to(byId('remove'))) other('remove', 'Remove'); });
byId('service-cancel').addEventListener('click', closePanel);
panel.addEventListener('cancel', (event) => { event.preventDefault(); closePanel(); });
byId('copy').addEventListener('click', async () => {
  const fragment = byId('fragment');
  fragment.select();
  // Without TLS only pages of this machine have a clipboard.
  const copied = navigator.clipboard ? await navigator.clipboard.writeText(fragment.value).then(() => true, () => false) : false;
  say(byId('copied'), copied || document.execCommand('copy') ? 'Copied.' : 'Selected: copy it with the keyboard.');
});
