"""Keys as providers hand them out, made for one run of the tests."""

import orjson
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from channels.push.keys import pem

P256_KEY = ec.generate_private_key(ec.SECP256R1())
P256 = pem(P256_KEY)
RSA_KEY = rsa.generate_private_key(65537, 2048)
SERVICE_ACCOUNT = orjson.dumps(
    {
        "type": "service_account",
        "project_id": "acme-shop",
        "private_key_id": "f00d",
        "private_key": RSA_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "client_email": "push@acme-shop.iam.gserviceaccount.com",
        "token_uri": "https://evil.example/token",
    }
).decode()
