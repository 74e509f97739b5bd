// The AWS SDK for JavaScript on S3, at the endpoint of the first argument. It writes objects of the keys on standard input,
// reads them again, and prints a line for each.
import { readFileSync } from 'node:fs';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';

const client = new S3Client({ endpoint: process.argv[2], forcePathStyle: true });
const content = 'from Node '.repeat(20_000);

async function call(Key) {
  try {
    await client.send(new PutObjectCommand({ Bucket: 'bucket', Key, Body: content, ContentType: 'text/plain' }));
    const object = await client.send(new GetObjectCommand({ Bucket: 'bucket', Key }));
    return (await object.Body.transformToString()) === content ? 'ok' : 'another object';
  } catch (error) {
    return `${error}`;
  }
}

for (const key of readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
  console.log(await call(key));
}
