# SPDX-License-Identifier: GPL-2.0
"""Certificates for tests, made by openssl."""
import subprocess


def openssl(directory, *words):
    subprocess.run(["openssl", *words], cwd=directory, check=True, timeout=30,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def new_authority(directory, name):
    openssl(directory, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
            f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")


def new_certificate(directory, authority, name, addresses):
    """The options that name a certificate of that authority for these addresses."""
    openssl(directory, "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout",
            f"{name}.key", "-out", f"{name}.csr")
    names = ",".join(f"IP:{address}" for address in addresses)
    (directory / f"{name}.ext").write_text(f"subjectAltName={names}\n")
    openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey",
            f"{authority}.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext",
            "-out", f"{name}.pem")
    return ["--tls-cert", f"{directory}/{name}.pem", "--tls-key", f"{directory}/{name}.key"]
