"""Makes `service_principals.json`: the names of AWS services that policies may name as principals.

    python make_service_principals.py managed_policies.json.gz

AWS publishes no complete list, so this is put together from what it does publish: the prefixes of the Service
Authorization Reference (`service_reference.json`), the services with service-linked roles
(`service_linked_roles.json`), every principal that an AWS managed policy names, the endpoint prefixes of the service
models that ship with botocore, and principals from AWS's user guides (`_GUIDES`). A name is kept without its
`.amazonaws.com`; what has another domain is kept whole. Names that no service has are no harm: nobody can call as one.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from pathlib import Path

_GUIDES = """
acm-pca appflow appconfig assets.inspector batchoperations.s3 bcm-data-exports billingconsole billingreports budgets
chatbot cks.kms clouddirectory cloudsearch cloudwatch-crossaccount cloudwatch codestar codestar-connections
codestar-notifications comprehend config-multiaccountsetup connect-campaigns costalerts datapipeline deepcomposer
deeplens deepracer delivery.logs diagnostics.ssm directconnect discovery dlm ec2-instance-connect ec2.spot ecr
edgelambda eks-fargate eks-fargate-pods eks-local-outposts eks-nodegroup elasticfilesystem es events fis freertos
gamelift glacier groundtruthlabeling hooks.cloudformation importexport iotanalytics iotevents iotfleetwise
iotroborunner iotsecuredtunneling iottwinmaker iotwireless ipam ivs kafkaconnect kinesis kinesisanalytics kinesisvideo
kms lookoutvision m2 machinelearning managedservices management.chatbot mediaconnect medialive mediapackage
mediapackagev2 mediastore mediatailor member.org.stacksets.cloudformation mobileanalytics mobilehub monitoring
networkmonitor ops.apigateway opsworks opsworks-cm payment-cryptography pinpoint polly proton qbusiness qldb
rekognition replicator.lambda resources.cloudformation route53 route53-recovery-cluster s2svpn secretsmanager
serverlessrepo signer signin simpledb sms-voice snow-device-management snowball sqs ssm-contacts ssm-incidents
stacksets.cloudformation storage-lens.s3 storagegateway sts swf tagpolicies.tag textract timestream tnb transcribe
transcribe.streaming transitgateway translate trustedadvisor verified-access verifiedpermissions vmie voiceid
vpc-flow-logs waf waf-regional wisdom workdocs workmail workspaces workspaces-web xray
alexa-appkit.amazon.com alexa-connectedhome.amazon.com appstream.application-autoscaling
custom-resource.application-autoscaling rds.application-autoscaling
"""
_NAMED = re.compile(r'"((?:[a-z0-9_-]+\.)+)amazonaws\.com"')
_LABELS = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


def main(managed_policies: str) -> None:
    import botocore.loaders

    here = Path(__file__).parent
    names = set(_GUIDES.split())
    names.update(row[0] for row in json.loads((here / "service_reference.json").read_text())["services"])
    for row in json.loads((here / "service_linked_roles.json").read_text())["roles"]:
        names.add(row[0].removesuffix(".amazonaws.com"))
    loader = botocore.loaders.Loader()
    for service in loader.list_available_services("service-2"):
        metadata = loader.load_service_model(service, "service-2")["metadata"]
        names.update((metadata["endpointPrefix"], metadata.get("signingName", metadata["endpointPrefix"])))
    with gzip.open(managed_policies) as stream:
        text = stream.read().decode().replace("\\", "")
    names.update(found.rstrip(".") for found in _NAMED.findall(text))
    kept = sorted(name for name in map(str.lower, names) if _LABELS.fullmatch(name))
    lines = ",\n".join(json.dumps(name) for name in kept)
    (here / "service_principals.json").write_text('{"services":[\n' + lines + "\n]}\n")


if __name__ == "__main__":
    main(sys.argv[1])
