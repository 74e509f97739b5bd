// Holds answers to an OpenAPI document, which is held to the OpenAPI specification first.
//
// Standard input: { document, answers: [{ path, method, status, type, body }] }, path as the document writes it.
// Prints what does not fit, a line each; nothing if all does.
import { Validator } from '@seriousme/openapi-schema-validator';
import Ajv2020 from 'ajv/dist/2020.js';
import formats from 'ajv-formats';

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { document, answers } = JSON.parse(Buffer.concat(chunks).toString());

const valid = await new Validator().validate(structuredClone(document));
if (!valid.valid) console.log(`the document: ${JSON.stringify(valid.errors)}`);

const ajv = new Ajv2020.default({ strict: false, allErrors: true });
formats.default(ajv);
ajv.addSchema(document, 'https://sidekey.invalid/api');
const pointer = (parts) => parts.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/');

for (const { path, method, status, type, body } of answers) {
  const what = `${method} ${path} ${status}`;
  const operation = document.paths[path]?.[method.toLowerCase()];
  const response = operation?.responses[String(status)];
  if (!response) { console.log(`${what}: not in the document`); continue; }
  if (!response.content[type]) { console.log(`${what}: ${type} is not in the document`); continue; }
  const parts = ['paths', path, method.toLowerCase(), 'responses', String(status), 'content', type, 'schema'];
  const check = ajv.getSchema(`https://sidekey.invalid/api#/${pointer(parts)}`);
  if (!check(body)) console.log(`${what}: ${ajv.errorsText(check.errors)} in ${JSON.stringify(body).slice(0, 2000)}`);
}
