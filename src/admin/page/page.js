'use strict';
// The status page: renders /api/v1/services and keeps it up to date. Every text is inserted as text, never as markup: names,
// addresses and error messages come from outside.

const REFRESH_INTERVAL = 2000;
const COMPACT_FROM = 13; // with so many services, one that is ready takes one line
const FIRST_ROWS = 24;   // and so many are shown at first
const FIRST_CARDS = 2;   // so many of the broken ones with everything that is known of them
const RANK = { error: 0, warning: 1, starting: 2, ok: 3 };
const WORDS = {
  ready: 'Ready', starting: 'Starting', degraded: 'Refresh failing', refused: 'Refused', login_required: 'Login required',
  expired: 'Expired', unavailable: 'No token', unauthorized: 'Unauthorized (401)', unreachable: 'Unreachable',
  at_risk: 'State not written', upstream_failing: 'Upstream failing', misconfigured: 'Misconfigured', disabled: 'Disabled',
};
const SVG = 'http://www.w3.org/2000/svg';

const byId = (id) => document.getElementById(id);
const cards = new Map();
const explained = new WeakMap(); // what `explain` last put into each node
const known = new Map(); // the services as they were last received
let last = null;       // the last state received
let all = false;       // every service is to be shown, however many there are
let heard = 0;         // when it was received, by this browser's monotonic clock
let skew = 0;          // Sidekey's clock minus this browser's
let token = null;      // the admin token, kept nowhere else
let waiting = null;    // resolves the promise of whoever asked for it
let declined = false;  // the user closed the dialog without a token

// ---- Helpers

function make(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}
function say(node, text) { if (node.textContent !== text) node.textContent = text; }
/** Sets a text, with the parts in backticks as code, after a beginning in bold. */
function explain(node, text, bold = '') {
  const key = `${bold}|${text}`;
  if (explained.get(node) === key) return;
  explained.set(node, key);
  const parts = text.split('`');
  // An unpaired backtick is an ordinary character of a text from outside.
  const rest = parts.length % 2 ? parts.map((part, index) => (index % 2 ? make('code', '', part) : part)) : [text];
  node.replaceChildren(...(bold ? [make('b', '', bold)] : []), ...rest);
}
function show(node, visible) { if (node.hidden === visible) node.hidden = !visible; }
function dress(node, name) { if (node.className !== name) node.className = name; }
const now = () => Date.now() + skew;

function span(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return `${minutes} min ${seconds % 60} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} days`;
}
const since = (time) => `${span(now() - Date.parse(time))} ago`;
function until(time) {
  const left = Date.parse(time) - now();
  return left > 500 ? `in ${span(left)}` : 'now';
}
function number(value) {
  if (value >= 100) return String(Math.round(value));
  return value >= 10 ? value.toFixed(1) : String(Math.round(value * 100) / 100);
}
function plural(count, one, many) { return `${count} ${count === 1 ? one : many}`; }

// ---- The API

async function call(method, path, content = {}) {
  const headers = { Accept: 'application/json' };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (method !== 'GET') headers['Content-Type'] = 'application/json';
  const options = { method, headers, cache: 'no-store', credentials: 'omit', redirect: 'error' };
  if (method !== 'GET') options.body = JSON.stringify(content);
  const response = await fetch(path, options);
  let body = null;
  try { body = await response.json(); } catch { /* reported below */ }
  return { status: response.status, ok: response.ok, body };
}
const told = (answer) => (answer.body && answer.body.detail) || `Sidekey answered ${answer.status}.`;

/** Calls with the admin token; asks for it if there is none or it is wrong. Returns null if the user cancels. */
async function callWithToken(method, path, content) {
  const needed = method === 'GET' || !last || last.access.write_requires_token;
  if (!token && needed && !(await askForToken(''))) return null;
  for (;;) {
    const answer = await call(method, path, content);
    if (answer.status !== 401) return answer;
    token = null;
    if (!(await askForToken(told(answer)))) return null;
  }
}

function askForToken(error) {
  const dialog = byId('token-dialog');
  say(byId('token-error'), error);
  byId('token').value = '';
  if (!dialog.open) dialog.showModal();
  byId('token').focus();
  return new Promise((resolve) => {
    if (waiting) waiting(false);
    waiting = resolve;
  });
}
function tokenGiven(value) {
  const resolve = waiting;
  waiting = null;
  if (value) token = value;
  byId('token').value = '';
  if (byId('token-dialog').open) byId('token-dialog').close();
  lock();
  if (resolve) resolve(Boolean(value));
}
function lock() { say(byId('unlock'), token ? 'Forget the admin token' : 'Admin token…'); }

// ---- One service

function chart(kind, title) {
  const figure = make('figure', `chart ${kind}`);
  const value = make('b');
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 120 28');
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('role', 'img');
  const base = document.createElementNS(SVG, 'line');
  for (const [name, at] of [['x1', 0], ['x2', 120], ['y1', 27], ['y2', 27]]) base.setAttribute(name, at);
  base.setAttribute('class', 'base');
  svg.append(base);
  figure.append(make('span', '', title), value, svg);
  return { figure, value, svg, drawn: '' };
}
/** A line from the right edge, where now is; a gap where there is no value. */
function draw(chart, values, label) {
  const top = Math.max(...values.map((value) => value ?? 0), 1e-9);
  const key = JSON.stringify(values);
  chart.svg.setAttribute('aria-label', label);
  if (chart.drawn === key) return;
  chart.drawn = key;
  for (const line of chart.svg.querySelectorAll('polyline')) line.remove();
  let points = [];
  const flush = () => {
    if (points.length) {
      const line = document.createElementNS(SVG, 'polyline');
      if (points.length === 1) points.push(points[0].replace(/^[^,]+/, (x) => String(Number(x) + 0.8)));
      line.setAttribute('points', points.join(' '));
      chart.svg.append(line);
    }
    points = [];
  };
  values.forEach((value, index) => {
    if (value === null) return flush();
    points.push(`${120 - (values.length - 1 - index)},${(27 - (value / top) * 25).toFixed(1)}`);
  });
  flush();
}

function fact(list, term) {
  const row = make('div');
  const value = make('dd');
  row.append(make('dt', '', term), value);
  list.append(row);
  return { row, value };
}

function build(name) {
  const item = make('li');
  const article = make('article');
  const id = `service-${name}`;
  article.setAttribute('aria-labelledby', id);
  const title = make('h3', '', name);
  title.id = id;
  title.tabIndex = -1;
  const card = { item, article, name, title, badge: make('span'), kind: make('span', 'tag'), optional: make('span', 'tag', 'optional') };
  card.optional.title = 'Does not hold up /readyz';
  card.labels = make('span', 'tag');
  card.upstream = make('span', 'upstream');
  const top = make('div', 'top');
  card.refresh = action(card, 'Refresh now', `Refresh the token of ${name} now`, '/refresh', ({ ok, message }) => ({ ok, text: message }));
  card.test = action(card, 'Test', `Test ${name}`, '/test', ({ ok, summary, suggestions }) => ({ ok, text: [summary, ...suggestions].join('\n') }), () => ({ path: card.path.value.trim() || '/' }));
  card.path = make('input', 'path');
  card.path.value = '/';
  card.path.spellcheck = false;
  card.path.setAttribute('aria-label', `Path for the test of ${name}`);
  card.path.addEventListener('keydown', (event) => { if (event.key === 'Enter') card.test.click(); });
  card.actions = make('div', 'actions');
  card.edit = make('button', '', 'Edit');
  card.edit.type = 'button';
  card.edit.setAttribute('aria-label', `Edit ${name}`);
  card.edit.addEventListener('click', () => edit(name)); // manage.js
  card.actions.append(card.refresh, card.test, card.path, card.edit);
  card.more = make('button', 'more', 'Details');
  card.more.type = 'button';
  card.more.setAttribute('aria-label', `Details of ${name}`);
  card.more.addEventListener('click', () => { card.open = !card.isOpen; arrange(); });
  card.result = make('p', 'result');
  card.result.setAttribute('role', 'status');
  top.append(title, card.badge, card.kind, card.optional, card.labels, card.upstream, card.actions, card.more);
  card.why = make('div', 'why');
  card.what = make('p', 'what');
  card.todo = make('p', 'todo');
  card.runbook = make('a', 'runbook', 'Runbook');
  card.runbook.target = '_blank';
  card.runbook.rel = 'noopener';
  card.why.append(card.what, card.todo, card.runbook);
  card.open = null; // not chosen
  const facts = make('div', 'facts');
  card.facts = facts;
  card.life = make('div');
  card.meter = make('div', 'meter');
  card.meter.setAttribute('role', 'meter');
  card.meter.setAttribute('aria-valuemin', '0');
  card.meter.setAttribute('aria-valuemax', '100');
  card.meter.setAttribute('aria-label', `Token life left: ${name}`);
  card.fill = make('div', 'fill');
  card.meter.append(card.fill);
  const times = make('dl', 'times');
  card.endpoint = fact(times, 'Tokens from');
  card.endpoint.row.className = 'endpoint';
  card.expires = fact(times, 'Token expires');
  card.refreshed = fact(times, 'Last refresh');
  card.next = fact(times, 'Next refresh');
  card.failures = fact(times, 'Failures in a row');
  card.failing = fact(times, 'Failing since');
  card.shared = fact(times, 'Shared');
  card.parts = make('ul', 'parts');
  card.parts.setAttribute('aria-label', `Tokens of ${name}`);
  card.life.append(card.meter, times, card.parts);
  card.fixed = make('p', 'fixed', 'Static credential: nothing to refresh.');
  const charts = make('div', 'charts');
  card.requests = chart('requests', 'Requests');
  card.errors = chart('errors', 'Errors');
  card.latency = chart('latency', 'Latency');
  charts.append(card.requests.figure, card.errors.figure, card.latency.figure);
  const left = make('div');
  left.append(card.life, card.fixed);
  facts.append(left, charts);
  card.events = make('ul', 'events');
  card.events.setAttribute('aria-label', `Events of ${name}`);
  card.callers = make('p', 'callers');
  article.append(top, card.result, card.why, facts, card.callers, card.events);
  item.append(article);
  return card;
}

/** A button that starts an action on the service and shows its outcome. */
function action(card, text, label, path, outcome, content = () => ({})) {
  const button = make('button', '', text);
  button.type = 'button';
  button.setAttribute('aria-label', label);
  button.addEventListener('click', async () => {
    if (button.getAttribute('aria-disabled') === 'true') return;
    button.setAttribute('aria-disabled', 'true');
    const tell = (severity, said) => { dress(card.result, `result ${severity}`); explain(card.result, said); };
    tell('', `${text}…`);
    try {
      const answer = await callWithToken('POST', `/api/v1/services/${encodeURIComponent(card.name)}${path}`, content());
      const { ok, text: said } = answer?.ok ? outcome(answer.body) : { ok: false, text: answer ? told(answer) : '' };
      tell(ok ? 'ok' : 'error', said);
    } catch {
      tell('error', 'Sidekey did not answer.');
    }
    button.removeAttribute('aria-disabled');
    refresh();
  });
  return button;
}

function update(card, service) {
  card.service = service;
  dress(card.badge, `badge ${service.severity}`);
  say(card.badge, WORDS[service.state] ?? service.state);
  say(card.kind, service.kind);
  show(card.optional, service.readiness === 'never');
  say(card.upstream, service.upstream);
  const trouble = service.severity !== 'ok' || service.suggestions.length > 0;
  card.trouble = trouble;
  // The section of the runbook that this Sidekey has, found by its heading.
  show(card.runbook, Boolean(service.runbook));
  if (service.runbook) card.runbook.href = `/page/operations.md#:~:text=${encodeURIComponent(`### ${service.runbook}`)}`;
  const events = service.events.slice(0, 6);
  const eventsKey = JSON.stringify(events);
  if (explained.get(card.events) !== eventsKey) {
    explained.set(card.events, eventsKey);
    card.events.replaceChildren(...events.map(({ kind, message, first, last, count }) => {
      const line = make('li', kind);
      const clock = (time) => new Date(time).toLocaleString();
      const when = first === last ? clock(first) : `${clock(first)} to ${clock(last)}`;
      line.append(make('b', '', kind), ` ${when}${count > 1 ? `, ${count} times` : ''}: ${message}`);
      return line;
    }));
  }
  const teams = Object.values(service.labels ?? {}).join(', ');
  say(card.labels, teams);
  show(card.labels, Boolean(teams));
  const lead = service.summary.search(/: |\. | \(|[:.]$/) + 1;
  explain(card.what, service.summary.slice(lead), service.summary.slice(0, lead));
  explain(card.todo, ` ${service.suggestions.join('\n')}`, 'What to do:');
  show(card.todo, service.suggestions.length > 0);
  show(card.life, Boolean(service.token));
  show(card.endpoint.row, Boolean(service.token?.endpoint));
  say(card.endpoint.value, service.token?.endpoint ?? '');
  show(card.parts, service.tokens.length > 1);
  card.parts.replaceChildren(...service.tokens.map(({ kind, place, usable, token: one, error }) => {
    const end = one.expires ? `expires ${until(one.expires)}` : 'none yet';
    const said = usable ? end : `not usable${error ? `: ${error}` : ''}`;
    return make('li', usable ? '' : 'unusable', `${place + 1}. ${kind}${one.endpoint ? ` from ${one.endpoint}` : ''}: ${said}`);
  }));
  const held = service.caller_tokens;
  say(card.fixed, held ? `Tokens of callers: ${held.held} of at most ${held.max} held.` : 'Static credential: nothing to refresh.');
  show(card.fixed, !service.token);
  show(card.refresh, Boolean(service.token));
  const callers = service.callers.map(({ name, allowed, refused, last: at }) => {
    const some = refused ? `${allowed} allowed, ${refused} refused` : `${allowed} allowed`;
    return `${name} (${some}, ${since(at)})`;
  });
  show(card.callers, callers.length > 0);
  say(card.callers, `Callers: ${callers.join('; ')}`);
  const { traffic } = service;
  const sum = (list) => list.reduce((all, value) => all + (value ?? 0), 0);
  const minutes = Math.round((traffic.requests.length * traffic.interval_seconds) / 60);
  const over = minutes > 1 ? `in ${minutes} min` : 'so far';
  const errors = sum(traffic.errors);
  say(card.requests.value, `${number(traffic.requests_per_second)}/s`);
  say(card.errors.value, `${errors} ${over}`);
  dress(card.errors.figure, errors ? 'chart errors some' : 'chart errors');
  const latencies = traffic.latency_ms.filter((value) => value !== null);
  const latest = latencies.length ? `${number(latencies[latencies.length - 1])} ms` : '–';
  say(card.latency.value, latest);
  draw(card.requests, traffic.requests, `${plural(sum(traffic.requests), 'request', 'requests')} ${over}`);
  draw(card.errors, traffic.errors, `${plural(errors, 'error', 'errors')} ${over}`);
  draw(card.latency, traffic.latency_ms, latencies.length ? `Mean latency, last ${latest}, highest ${number(Math.max(...latencies))} ms` : 'No request yet');
  tick(card);
}

/** Shows everything that is known of a service, or one line. */
function unfold(card, place, compact) {
  const broken = card.service.severity !== 'ok';
  card.isOpen = card.open ?? (!compact || (broken && place < FIRST_CARDS));
  dress(card.article, `service ${card.service.severity}${card.isOpen ? '' : ' line'}`);
  show(card.why, card.isOpen && card.trouble);
  show(card.facts, card.isOpen);
  show(card.events, card.isOpen && card.service.events.length > 0);
  show(card.actions, card.isOpen && last.access.write_requires_token !== null);
  show(card.more, compact);
  say(card.more, card.isOpen ? 'Less' : 'Details');
  card.more.setAttribute('aria-expanded', String(card.isOpen));
  card.badge.title = card.isOpen ? '' : card.service.summary;
}

/** Who shares a token, in words. */
function sharing({ processes, refreshed_by: by, refreshed_by_process: process, store_down_since: down }) {
  if (down) return `store away ${since(down)}${by === 'alone' ? ', own token' : ''}`;
  const others = processes === null ? 'with a fleet' : processes > 1 ? `with ${plural(processes - 1, 'other process', 'other processes')}` : 'with no other process now';
  const who = { self: 'refreshed by this one', peer: `refreshed by ${process}`, alone: 'refreshed alone' }[by];
  return who ? `${others}, ${who}` : others;
}

/** Updates what changes with time alone. */
function tick(card) {
  const token = card.service?.token;
  if (!token) return;
  const has = Boolean(token.expires);
  show(card.meter, has);
  show(card.expires.row, has);
  if (has) {
    const left = Date.parse(token.expires) - now();
    const part = Math.min(1, Math.max(0, left / (token.lifetime_seconds * 1000)));
    card.fill.style.width = `${(part * 100).toFixed(2)}%`;
    dress(card.meter, part === 0 ? 'meter gone' : part < 0.18 ? 'meter low' : 'meter');
    card.meter.setAttribute('aria-valuenow', String(Math.round(part * 100)));
    card.meter.setAttribute('aria-valuetext', left > 0 ? `expires in ${span(left)}` : 'expired');
    say(card.expires.value, left > 0 ? `in ${span(left)}` : since(token.expires));
  }
  show(card.refreshed.row, Boolean(token.last_refresh));
  if (token.last_refresh) say(card.refreshed.value, since(token.last_refresh));
  show(card.next.row, Boolean(token.next_refresh));
  if (token.next_refresh) say(card.next.value, until(token.next_refresh));
  show(card.failures.row, token.consecutive_failures > 0);
  say(card.failures.value, String(token.consecutive_failures));
  show(card.failing.row, Boolean(token.failing_since));
  if (token.failing_since) say(card.failing.value, since(token.failing_since));
  const shared = token.sharing;
  show(card.shared.row, Boolean(shared));
  if (shared) say(card.shared.value, sharing(shared));
}

async function reload() {
  const button = byId('reload');
  if (button.getAttribute('aria-disabled') === 'true') return;
  button.setAttribute('aria-disabled', 'true');
  const result = byId('reloaded');
  const tell = (severity, text) => { dress(result, `notice ${severity}`); say(result, text); show(result, true); };
  tell('', 'Reloading…');
  try {
    const answer = await callWithToken('POST', '/api/v1/reload');
    if (!answer) show(result, false);
    else if (!answer.ok) tell('error', told(answer));
    else tell(answer.body.ok ? 'ok' : 'error', answer.body.message);
  } catch {
    tell('error', 'Sidekey did not answer.');
  }
  button.removeAttribute('aria-disabled');
  button.focus();
  refresh();
}

// ---- All services

/** Lists services with their state, each with a link to its card. */
function point(node, groups) {
  const key = JSON.stringify(groups.map(([what, services]) => [what, services.map(({ name, state }) => [name, state])]));
  if (explained.get(node) === key) return;
  explained.set(node, key);
  node.replaceChildren(...groups.map(([what, services]) => {
    const line = make('span', 'group', `${what}: `);
    services.slice(0, 20).forEach(({ name, state }, index) => {
      const link = make('a', '', name);
      link.href = `#service-${encodeURIComponent(name)}`;
      line.append(index ? ', ' : '', link, ` (${(WORDS[state] ?? state).toLowerCase()})`);
    });
    line.append(services.length > 20 ? `, and ${services.length - 20} more.` : '.');
    return line;
  }));
}

function headline(counts, services) {
  const { total, error, warning, starting } = counts;
  const of = (severity) => services.filter((service) => service.severity === severity);
  const all = total === 1 ? 'the only service' : `${total} services`;
  let severity = 'ok';
  let text = total === 1 ? 'The only service is ready' : `All ${total} services are ready`;
  const more = [];
  if (starting) { severity = 'starting'; text = `${starting} of ${all} ${starting === 1 ? 'is' : 'are'} waiting for a first token`; }
  if (warning) { severity = 'warning'; text = `${warning} of ${all} will break unless something is done`; }
  if (error) { severity = 'error'; text = `${error} of ${all} ${error === 1 ? 'is' : 'are'} broken`; }
  if (total === 1 && severity !== 'ok') text = text.replace('1 of the only service', 'The only service');
  if (error) more.push(['Broken', of('error')]);
  if (warning) more.push(['About to break', of('warning')]);
  if (starting) more.push(['Starting', of('starting')]);
  dress(byId('summary'), `summary ${severity}`);
  say(byId('headline'), text);
  point(byId('detail'), more);
  document.title = error ? `(${error}) ${error === 1 ? 'service' : 'services'} broken · Sidekey` : 'Sidekey';
}

function render(state) {
  last = state;
  skew = Date.parse(state.now) - Date.now();
  if (state.complete) known.clear();
  for (const service of state.services) known.set(service.name, service);
  const services = [...known.values()];
  say(byId('about'), `${state.instance} · Version ${state.version}, running for ${span(Date.parse(state.now) - Date.parse(state.started))}`);
  const { access } = state;
  show(byId('unlock'), Boolean(access.write_requires_token || access.read_requires_token));
  show(byId('reload'), access.write_requires_token !== null);
  show(byId('add'), true);
  headline(state.counts, services);
  const notice = byId('notice');
  const notices = [
    ['The configuration on disk cannot be used', state.config?.failing, 'the previous one stays in use'],
    ['Certificate files cannot be used', state.config?.certificates_failing, 'their previous content stays in use'],
    ...(state.config?.stale_secrets ?? []).map((secret) => [
      `The secret of ${secret.used_by.join(', ')} is stale`, secret, 'the last good one stays in use',
    ]),
    ...(state.config?.problems ?? []).map((problem) => [
      problem.service ? `The configuration of ${problem.service} has a mistake` : `${problem.file} cannot be used`, problem,
      problem.runs_with_previous_settings ? 'the previous settings stay in use' : 'what has it does not run',
    ]),
  ].filter(([, failing]) => failing);
  show(notice, notices.length > 0);
  say(notice, notices.map(([what, failing, instead]) => `${what}, ${span(now() - Date.parse(failing.since))} now; ${instead}.\n${failing.error}`).join('\n'));
  offer(byId('by-state'), services.map(({ state: name }) => name), (name) => WORDS[name] ?? name);
  offer(byId('by-kind'), services.map(({ kind }) => kind), (kind) => kind);
  offer(byId('by-team'), services.flatMap(({ labels }) => (labels?.team ? [labels.team] : [])), (team) => team);
  show(byId('filters'), services.length >= COMPACT_FROM);
  arrange();
}

/** Offers the values that there are, and keeps the one that is chosen. */
function offer(select, values, word) {
  const all = [...new Set(values)].sort();
  show(select.parentElement, all.length > 1);
  const key = all.join('\n');
  if (explained.get(select) === key) return;
  explained.set(select, key);
  const chosen = select.value;
  select.replaceChildren(...[['', 'all'], ...all.map((value) => [value, word(value)])].map(([value, text]) => {
    const option = make('option', '', text);
    option.value = value;
    return option;
  }));
  select.value = all.includes(chosen) ? chosen : '';
}

function matches(service) {
  const text = byId('search').value.trim().toLowerCase();
  const of = [service.name, service.upstream, service.kind, service.token?.endpoint ?? '', ...Object.values(service.labels ?? {})];
  return (!text || of.some((part) => part.toLowerCase().includes(text)))
    && [['by-state', service.state], ['by-kind', service.kind], ['by-team', service.labels?.team]].every(([id, value]) => !byId(id).value || byId(id).value === value);
}

/** Puts the services that are to be seen into their order, broken ones first. */
function arrange() {
  const compact = known.size >= COMPACT_FROM;
  const sorted = [...known.values()].map((service, place) => ({ service, place })).filter(({ service }) => !compact || matches(service));
  sorted.sort((a, b) => RANK[a.service.severity] - RANK[b.service.severity] || a.place - b.place);
  const seen = compact && !all ? sorted.slice(0, FIRST_ROWS) : sorted;
  const list = byId('services');
  const names = new Set(seen.map(({ service }) => service.name));
  for (const [name, card] of cards) {
    if (!names.has(name)) card.item.remove();
    if (!known.has(name)) cards.delete(name);
  }
  const focused = document.activeElement;
  seen.forEach(({ service }, index) => {
    let card = cards.get(service.name);
    if (!card) cards.set(service.name, card = build(service.name));
    if (card.service !== service) update(card, service);
    unfold(card, index, compact);
    if (list.children[index] !== card.item) list.insertBefore(card.item, list.children[index] ?? null);
  });
  if (focused && focused !== document.activeElement && document.contains(focused)) focused.focus();
  show(byId('more'), seen.length < sorted.length);
  say(byId('more'), `Show all ${sorted.length}`);
  show(byId('none'), compact && sorted.length === 0);
}

function live(on, text) {
  dress(byId('live'), `live ${on ? 'on' : 'off'}`);
  say(byId('live-text'), text);
}

let busy = false;
async function refresh() {
  if (busy) return;
  busy = true;
  try {
    const path = last ? `/api/v1/services?since=${encodeURIComponent(last.revision)}` : '/api/v1/services';
    let answer = await call('GET', path);
    if (answer.status === 401) {
      token = null;
      live(false, 'Reading needs the admin token');
      show(byId('unlock'), true);
      say(byId('headline'), 'Reading needs the admin token');
      if (!waiting && !declined) {
        const again = await callWithToken('GET', path);
        declined = again === null;
        answer = again ?? answer;
      }
    }
    if (answer.ok && answer.body) {
      heard = performance.now();
      live(true, 'Live');
      render(answer.body);
    } else if (answer.status !== 401) {
      live(false, told(answer));
    }
  } catch {
    live(false, heard ? `Sidekey has not answered for ${span(performance.now() - heard)}` : 'Sidekey does not answer');
  }
  busy = false;
}

byId('token-form').addEventListener('submit', (event) => { event.preventDefault(); tokenGiven(byId('token').value.trim()); });
byId('token-cancel').addEventListener('click', () => tokenGiven(null));
byId('token-dialog').addEventListener('cancel', () => tokenGiven(null));
byId('reload').addEventListener('click', reload);
byId('more').addEventListener('click', () => { all = true; arrange(); });
for (const id of ['search', 'by-state', 'by-kind', 'by-team']) byId(id).addEventListener('input', arrange);
byId('unlock').addEventListener('click', async () => {
  if (token) { token = null; lock(); return; }
  declined = false;
  if (await askForToken('')) refresh();
});
document.addEventListener('visibilitychange', () => { if (!document.hidden) refresh(); });
setInterval(() => { if (!document.hidden) refresh(); }, REFRESH_INTERVAL);
setInterval(() => { for (const card of cards.values()) if (card.isOpen) tick(card); }, 1000);
refresh();
