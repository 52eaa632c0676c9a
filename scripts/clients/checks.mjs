// The checks of one client in Node: each is told in a JSON line on standard output.
import { readFileSync } from "node:fs";

export const URL = process.env.PATCHBAY_URL ?? "http://127.0.0.1:8080";
export const V1 = `${URL}/v1`;
export const KEY = process.env.PATCHBAY_KEY ?? "unused";
export const WRONG_KEY = "not-a-key";
// Whether a wrong key is refused there: the demo that people start has no keys.
export const KEYED = "PATCHBAY_KEY" in process.env;

export const QUESTION = "Give me the numbers of all orders in Berlin";
export const SQL = "SELECT number FROM orders WHERE city = 'Berlin';";
export const SHIPPED =
  "Please get back to me. The box with my Delta Heater is still in transit (order PB-6047). Yours, Bruno Lopez";
export const LABEL = "shipping";
export const TICKET =
  "Order PB-8671: Could the Ember Blender app support two users. An answer in the next days would be fine. Regards, Anna Popov";
export const FIELDS = { customer: "Anna Popov", product: "Ember Blender", order: "PB-8671", priority: "normal" };
export const NOWHERE = "no-such-model";

const SHOWN = 300;
const checks = [];

// A conversation of one turn.
export const user = (text) => [{ role: "user", content: text }];

// A check of that name: it returns what came of it, and throws where that is wrong.
export const check = (name, body) => checks.push([name, body]);

// What was found, as text; throws where it is not what was wanted.
export function same(found, wanted) {
  const [said, expected] = [found, wanted].map((value) => (typeof value === "string" ? value : JSON.stringify(value)));
  if (said !== expected) throw new Error(`got ${said}, expected ${expected}`);
  return said;
}

// An answer by schema, as text; throws where it has other fields than a ticket, or other than texts. The demo's engine holds
// JSON to a form without spaces, which its models have not learnt: what is in it may be wrong.
export function filled(found) {
  const said = JSON.stringify(found);
  const named = Object.keys(FIELDS).sort().join() === Object.keys(found ?? {}).sort().join();
  return holds(named && Object.values(found).every((one) => typeof one === "string"), said);
}

// What was said; throws it where the condition is false.
export function holds(condition, said) {
  if (!condition) throw new Error(`not so: ${said}`);
  return String(said);
}

// The class and the text of the error that a call throws; throws where it throws none of that kind.
export async function refused(isKind, call, ...words) {
  let answer;
  try {
    answer = await call();
  } catch (error) {
    const said = `${error.constructor.name}: ${error.message}`;
    return holds(isKind(error) && words.every((word) => error.message.includes(word)), said);
  }
  throw new Error(`no error, but ${JSON.stringify(answer)}`);
}

// Tells the versions of these packages, runs every check, and sets the exit status: 1 where one failed.
export async function run(...packages) {
  tell({ versions: Object.fromEntries(packages.map((name) => [name, version(name)])) });
  for (const [name, body] of checks) {
    if (!(await one(name, body))) process.exitCode = 1;
  }
}

async function one(name, body) {
  const began = Date.now();
  let ok = true, said;
  try {
    said = await body();
  } catch (error) {
    [ok, said] = [false, `${error.constructor.name}: ${error.message}`];
  }
  tell({ check: name, ok, said: String(said).split(/\s+/).join(" ").slice(0, SHOWN), seconds: (Date.now() - began) / 1000 });
  return ok;
}

const version = (name) => JSON.parse(readFileSync(`${import.meta.dirname}/node_modules/${name}/package.json`)).version;
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
