// A SAML identity provider (samlify): `node provider.mjs KEY CERTIFICATE ENTITY_ID`, both files PEM.
// Writes its metadata as one line of JSON, and then a response for each line of JSON on standard input:
//   {"subject": "alice", "format": "persistent", "attributes": {"NAME": ["VALUE"]}, "sign": "assertion" | "message" |
//    "both", "algorithm": "rsa-sha256", "encrypt_for": CERTIFICATE_PEM, "content": "aes256-gcm", "recipient": URL}

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { randomUUID } from 'node:crypto';
import samlify from 'samlify';

const [key, certificate] = process.argv.slice(2, 4).map((path) => readFileSync(path, 'utf8'));
const entityID = process.argv[4];
const bindings = samlify.Constants.namespace.binding;
const ALGORITHMS = {
  'rsa-sha1': 'http://www.w3.org/2000/09/xmldsig#rsa-sha1',
  'rsa-sha256': 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
  'rsa-sha512': 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512',
};
const CONTENT = {
  'aes256-gcm': 'http://www.w3.org/2009/xmlenc11#aes256-gcm',
  'aes128-gcm': 'http://www.w3.org/2009/xmlenc11#aes128-gcm',
  'aes256-cbc': 'http://www.w3.org/2001/04/xmlenc#aes256-cbc',
};
samlify.setSchemaValidator({ validate: async () => 'not looked at: we only send' });

function identityProvider(wanted) {
  return samlify.IdentityProvider({
    entityID,
    privateKey: key,
    signingCert: certificate,
    isAssertionEncrypted: Boolean(wanted.encrypt_for),
    dataEncryptionAlgorithm: CONTENT[wanted.content ?? 'aes256-gcm'],
    keyEncryptionAlgorithm: 'http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p',
    requestSignatureAlgorithm: ALGORITHMS[wanted.algorithm ?? 'rsa-sha256'],
    messageSigningOrder: 'encrypt-then-sign',
    nameIDFormat: [`urn:oasis:names:tc:SAML:2.0:nameid-format:${wanted.format ?? 'persistent'}`],
    singleSignOnService: [{ Binding: bindings.post, Location: `${entityID}/sso` }],
    loginResponseTemplate: {
      context: samlify.SamlLib.defaultLoginResponseTemplate.context.replace('{AttributeStatement}', '{Statements}'),
      attributes: [],
    },
  });
}

function amazon(wanted) {
  const sign = wanted.sign ?? 'assertion';
  return samlify.ServiceProvider({
    entityID: 'urn:amazon:webservices',
    encryptCert: wanted.encrypt_for,
    wantAssertionsSigned: sign !== 'message',
    wantMessageSigned: sign !== 'assertion',
    assertionConsumerService: [{ Binding: bindings.post, Location: wanted.recipient ?? 'https://signin.aws.amazon.com/saml' }],
  });
}

async function respond(wanted) {
  const idp = identityProvider(wanted);
  const sp = amazon(wanted);
  const now = new Date();
  const later = new Date(now.getTime() + 300_000).toISOString();
  const authn = `<saml:AuthnStatement AuthnInstant="${now.toISOString()}" SessionIndex="_${randomUUID()}">`
    + '<saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password'
    + '</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>';
  const recipient = wanted.recipient ?? 'https://signin.aws.amazon.com/saml';
  const statement = '<saml:AttributeStatement>' + Object.entries(wanted.attributes ?? {}).map(([name, values]) =>
    `<saml:Attribute Name="${name}">`
    + values.map((value) => `<saml:AttributeValue xsi:type="xs:string">${value}</saml:AttributeValue>`).join('')
    + '</saml:Attribute>').join('') + '</saml:AttributeStatement>';
  const fill = (template) => {
    const id = `_${randomUUID()}`;
    const raw = template.replace('{AuthnStatement}', authn).replace('{Statements}', statement)
      .replaceAll('InResponseTo="{InResponseTo}"', '');
    const context = samlify.SamlLib.replaceTagsByValue(raw, {
      ID: id, AssertionID: `_${randomUUID()}`, Destination: recipient, Audience: 'urn:amazon:webservices',
      SubjectRecipient: recipient, Issuer: entityID, IssueInstant: now.toISOString(),
      StatusCode: samlify.Constants.StatusCode.Success,
      ConditionsNotBefore: now.toISOString(), ConditionsNotOnOrAfter: later, SubjectConfirmationDataNotOnOrAfter: later,
      NameIDFormat: `urn:oasis:names:tc:SAML:2.0:nameid-format:${wanted.format ?? 'persistent'}`, NameID: wanted.subject,
    });
    return { id, context };
  };
  const made = await idp.createLoginResponse(sp, {}, 'post', {}, fill, wanted.sign === 'message' || wanted.sign === 'both');
  return made.context;
}

console.log(JSON.stringify({ metadata: identityProvider({}).getMetadata() }));
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await respond(JSON.parse(line)).then((response) => ({ response }), (error) => ({ error: String(error) }))));
}
