// What a JavaScript application does with the AWS SDK, against the server that its environment names; every step is asserted.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { Agent as PlainAgent } from "node:http";
import { Agent as TlsAgent } from "node:https";
import { Readable } from "node:stream";

import * as iam from "@aws-sdk/client-iam";
import * as kms from "@aws-sdk/client-kms";
import * as s3 from "@aws-sdk/client-s3";
import * as sts from "@aws-sdk/client-sts";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const MIB = 1024 * 1024;
const endpoint = new URL(process.env.AWS_ENDPOINT_URL);
const bucket = process.argv[2];
const byPath = { forcePathStyle: true };
const identities = new iam.IAMClient();
const keys = new kms.KMSClient();
const objects = new s3.S3Client(byPath);
const { Arn: root, Account: account } = await new sts.STSClient().send(new sts.GetCallerIdentityCommand({}));
const digest = (bytes) => createHash("sha256").update(bytes).digest("hex");
const bytesOf = async (reply) => Buffer.from(await reply.Body.transformToByteArray());
const allow = (Action, Resource) =>
  JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action, Resource }] });

async function refused(name, promise, part = "") {
  await assert.rejects(promise, (error) => {
    assert.equal(error.name, name, `${error.name}: ${error.message}`);
    assert.ok(error.message.includes(part), error.message);
    assert.ok(error.$metadata.requestId);
    return true;
  });
}

const story = {
  async "the caller is who signs"() {
    assert.equal(root, `arn:aws:iam::${account}:root`);
    const stranger = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "no" };
    const call = (client, command) => new client({ credentials: stranger, ...byPath }).send(command);
    await refused("InvalidClientTokenId", call(sts.STSClient, new sts.GetCallerIdentityCommand({})));
    await refused("UnrecognizedClientException", call(kms.KMSClient, new kms.ListKeysCommand({})));
    await refused("InvalidAccessKeyId", call(s3.S3Client, new s3.ListBucketsCommand({})));
  },

  async "a KMS key seals under a context, through an alias"() {
    const made = await keys.send(new kms.CreateKeyCommand({ Description: "ключ", Tags: [{ TagKey: "a", TagValue: "b" }] }));
    assert.ok(made.KeyMetadata.CreationDate instanceof Date);
    this.key = made.KeyMetadata.Arn;
    await keys.send(new kms.CreateAliasCommand({ AliasName: "alias/javascript", TargetKeyId: this.key }));
    const Plaintext = randomBytes(4096);
    const EncryptionContext = { purpose: "test" };
    const sealed = await keys.send(new kms.EncryptCommand({ KeyId: "alias/javascript", Plaintext, EncryptionContext }));
    const { CiphertextBlob } = sealed;
    const opened = await keys.send(new kms.DecryptCommand({ CiphertextBlob, EncryptionContext }));
    assert.deepEqual(Buffer.from(opened.Plaintext), Plaintext);
    assert.equal(opened.KeyId, this.key);
    await refused("InvalidCiphertextException", keys.send(new kms.DecryptCommand({ CiphertextBlob })));
    await refused("NotFoundException", keys.send(new kms.DescribeKeyCommand({ KeyId: "alias/none" })), "alias/none");
  },

  async "objects of a bucket are encrypted under it"() {
    await objects.send(new s3.CreateBucketCommand({ Bucket: bucket }));
    const rule = { ApplyServerSideEncryptionByDefault: { SSEAlgorithm: "aws:kms", KMSMasterKeyID: this.key } };
    const ServerSideEncryptionConfiguration = { Rules: [rule] };
    await objects.send(new s3.PutBucketEncryptionCommand({ Bucket: bucket, ServerSideEncryptionConfiguration }));
    const named = { Bucket: bucket, Key: "a/ü +%.txt" };
    const stored = await objects.send(new s3.PutObjectCommand({ ...named, Body: "text", Metadata: { colour: "blue" } }));
    assert.equal(stored.SSEKMSKeyId, this.key);
    const got = await objects.send(new s3.GetObjectCommand(named));
    assert.equal(await got.Body.transformToString(), "text");
    assert.deepEqual(got.Metadata, { colour: "blue" });
    assert.ok(got.LastModified instanceof Date);
    const part = await objects.send(new s3.GetObjectCommand({ ...named, Range: "bytes=1-2" }));
    assert.equal(await part.Body.transformToString(), "ex");
    await refused("NoSuchKey", objects.send(new s3.GetObjectCommand({ Bucket: bucket, Key: "none" })));
    await refused("NotFound", objects.send(new s3.HeadObjectCommand({ Bucket: bucket, Key: "none" })));
    const unchanged = objects.send(new s3.GetObjectCommand({ ...named, IfNoneMatch: got.ETag }));
    await assert.rejects(unchanged, (error) => error.$metadata.httpStatusCode === 304);
  },

  async "checksums of every kind are verified on both sides"() {
    const Body = randomBytes(100_000);
    for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {
      const named = { Bucket: bucket, Key: `sums/${ChecksumAlgorithm}` };
      const stored = await objects.send(new s3.PutObjectCommand({ ...named, Body, ChecksumAlgorithm }));
      const got = await objects.send(new s3.GetObjectCommand({ ...named, ChecksumMode: "ENABLED" }));
      assert.equal(digest(await bytesOf(got)), digest(Body));
      assert.equal(got[`Checksum${ChecksumAlgorithm}`], stored[`Checksum${ChecksumAlgorithm}`]);
    }
  },

  async "a stream goes up in parts and comes back whole"() {
    const bytes = randomBytes(12 * MIB + 321);
    const pieces = [];
    for (let at = 0; at < bytes.length; at += 100_000) pieces.push(bytes.subarray(at, at + 100_000));
    const params = { Bucket: bucket, Key: "large", Body: Readable.from(pieces) };
    const done = await new Upload({ client: objects, params, partSize: 5 * MIB, queueSize: 3 }).done();
    assert.ok(done.ETag.endsWith('-3"'), done.ETag);
    const got = await objects.send(new s3.GetObjectCommand({ Bucket: bucket, Key: "large" }));
    assert.equal(digest(await bytesOf(got)), digest(bytes));
  },

  async "pages and waiters go through"() {
    const found = [];
    for await (const page of s3.paginateListObjectsV2({ client: objects, pageSize: 2 }, { Bucket: bucket, Prefix: "sums/" }))
      found.push(...page.Contents.map((each) => each.Key));
    assert.equal(found.length, 5);
    const quickly = { client: objects, maxWaitTime: 5, minDelay: 1, maxDelay: 1 };
    assert.equal((await s3.waitUntilObjectExists(quickly, { Bucket: bucket, Key: "large" })).state, "SUCCESS");
  },

  async "a presigned URL serves whoever holds it"() {
    const named = { Bucket: bucket, Key: "pre signed" };
    const to = await getSignedUrl(objects, new s3.PutObjectCommand(named), { expiresIn: 60 });
    const stored = await fetch(to, { method: "PUT", body: "body" });
    assert.equal(stored.status, 200, await stored.text());
    const from = await getSignedUrl(objects, new s3.GetObjectCommand(named), { expiresIn: 60 });
    assert.equal(await (await fetch(from)).text(), "body");
    assert.equal((await fetch(from.replace("X-Amz-Expires=60", "X-Amz-Expires=61"))).status, 403);
  },

  async "a bucket may be named in the host"() {
    // s3.localhost and what is under it are this machine; not every resolver knows.
    const hosts = [];
    const lookup = (host, options, found) => {
      hosts.push(host);
      if (options.all) found(null, [{ address: "127.0.0.1", family: 4 }]);
      else found(null, "127.0.0.1", 4);
    };
    const client = new s3.S3Client({
      endpoint: `${endpoint.protocol}//s3.localhost:${endpoint.port}`,
      requestHandler: { httpAgent: new PlainAgent({ lookup }), httpsAgent: new TlsAgent({ lookup }) },
    });
    await client.send(new s3.PutObjectCommand({ Bucket: bucket, Key: "by host", Body: "body" }));
    const got = await objects.send(new s3.GetObjectCommand({ Bucket: bucket, Key: "by host" }));
    assert.equal(await got.Body.transformToString(), "body");
    assert.ok(hosts.includes(`${bucket}.s3.localhost`), hosts.join());
  },

  async "a user and a role's session may do what their policies say"() {
    const UserName = "javascript";
    await identities.send(new iam.CreateUserCommand({ UserName, Tags: [{ Key: "a", Value: "b" }] }));
    const { AccessKey } = await identities.send(new iam.CreateAccessKeyCommand({ UserName }));
    assert.ok(AccessKey.CreateDate instanceof Date);
    const own = `arn:aws:s3:::${bucket}/a/*`;
    const policy = { UserName, PolicyName: "p", PolicyDocument: allow(["s3:GetObject", "kms:Decrypt"], [own, this.key]) };
    await identities.send(new iam.PutUserPolicyCommand(policy));
    const credentials = { accessKeyId: AccessKey.AccessKeyId, secretAccessKey: AccessKey.SecretAccessKey };
    const reader = new s3.S3Client({ ...byPath, credentials });
    const permitted = new s3.GetObjectCommand({ Bucket: bucket, Key: "a/ü +%.txt" });
    assert.equal(await (await reader.send(permitted)).Body.transformToString(), "text");
    const why = "not authorized to perform: s3:GetObject";
    await refused("AccessDenied", reader.send(new s3.GetObjectCommand({ Bucket: bucket, Key: "large" })), why);
    const iamOfUser = new iam.IAMClient({ credentials });
    await refused("AccessDenied", iamOfUser.send(new iam.ListUsersCommand({})), "not authorized to perform: iam:ListUsers");
    const kmsOfUser = new kms.KMSClient({ credentials });
    await refused("AccessDeniedException", kmsOfUser.send(new kms.DescribeKeyCommand({ KeyId: this.key })), "kms:DescribeKey");
    await refused("EntityAlreadyExistsException", identities.send(new iam.CreateUserCommand({ UserName })));
    await refused("NoSuchEntityException", identities.send(new iam.GetUserCommand({ UserName: "nobody" })));

    const trust = { Effect: "Allow", Principal: { AWS: `arn:aws:iam::${account}:user/${UserName}` }, Action: "sts:AssumeRole" };
    const AssumeRolePolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement: [trust] });
    const { Role } = await identities.send(new iam.CreateRoleCommand({ RoleName: "r", AssumeRolePolicyDocument }));
    const assume = new sts.AssumeRoleCommand({ RoleArn: Role.Arn, RoleSessionName: "nightly" });
    const session = (await new sts.STSClient({ credentials }).send(assume)).Credentials;
    assert.ok(session.Expiration > new Date());
    const asSession = {
      accessKeyId: session.AccessKeyId,
      secretAccessKey: session.SecretAccessKey,
      sessionToken: session.SessionToken,
    };
    const caller = await new sts.STSClient({ credentials: asSession }).send(new sts.GetCallerIdentityCommand({}));
    assert.equal(caller.Arn, `arn:aws:sts::${account}:assumed-role/r/nightly`);
    await refused("AccessDenied", new s3.S3Client({ ...byPath, credentials: asSession }).send(permitted), "assumed-role/r/nightly");
  },

  async "a disabled key makes its objects unreadable"() {
    await keys.send(new kms.DisableKeyCommand({ KeyId: this.key }));
    await refused("KMS.DisabledException", objects.send(new s3.GetObjectCommand({ Bucket: bucket, Key: "large" })));
    await refused("DisabledException", keys.send(new kms.GenerateDataKeyCommand({ KeyId: this.key, KeySpec: "AES_256" })));
    await keys.send(new kms.EnableKeyCommand({ KeyId: this.key }));
  },

  async "everything can be deleted"() {
    const { Contents } = await objects.send(new s3.ListObjectsV2Command({ Bucket: bucket }));
    const Delete = { Objects: Contents.map(({ Key }) => ({ Key })) };
    const { Deleted } = await objects.send(new s3.DeleteObjectsCommand({ Bucket: bucket, Delete }));
    assert.equal(Deleted.length, Contents.length);
    await objects.send(new s3.DeleteBucketCommand({ Bucket: bucket }));
    await refused("NoSuchBucket", objects.send(new s3.ListObjectsV2Command({ Bucket: bucket })));
  },
};

const kept = {};
for (const [claim, step] of Object.entries(story)) {
  try {
    await step.call(kept);
  } catch (error) {
    console.error(`not so: ${claim}`);
    throw error;
  }
  console.log(claim);
}
process.exit(0);
