// An app: its user's ID token in, an object of the user's own out. It has no credentials but what the pool gives it.
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { fromCognitoIdentityPool } from "@aws-sdk/credential-provider-cognito-identity";

const [endpoint, identityPoolId, bucket, idToken, someoneElse] = process.argv.slice(2);
const region = "us-east-1";
const signIn = fromCognitoIdentityPool({
  identityPoolId,
  logins: { "accounts.google.com": idToken },
  clientConfig: { endpoint, region },
});
const { identityId } = await signIn();
const s3 = new S3Client({ endpoint, region, forcePathStyle: true, credentials: signIn });
await s3.send(new PutObjectCommand({ Bucket: bucket, Key: `${identityId}/notes`, Body: "mine" }));
const read = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: `${identityId}/notes` }));
const refusal = await s3
  .send(new GetObjectCommand({ Bucket: bucket, Key: `${someoneElse}/notes` }))
  .then(() => "", (error) => error.name);
console.log(JSON.stringify({ identityId, body: await read.Body.transformToString(), refusal }));
