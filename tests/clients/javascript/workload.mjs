// A workload without keys: prints who the SDK finds itself to be.
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";

const sts = new STSClient({});
console.log((await sts.send(new GetCallerIdentityCommand({}))).Arn);
