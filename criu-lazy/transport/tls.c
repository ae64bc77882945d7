// SPDX-License-Identifier: GPL-2.0
#include "transport/tls.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "options/options.h"
#include "util/log.h"

#define DEFAULT_CA   "/etc/pki/CA/cacert.pem"
#define DEFAULT_CRL  "/etc/pki/CA/cacrl.pem"
#define DEFAULT_CERT "/etc/pki/criu/cert.pem"
#define DEFAULT_KEY  "/etc/pki/criu/private/key.pem"

struct tls_context {
	gnutls_certificate_credentials_t credentials;
	bool ignores_name;
};

struct tls_session {
	gnutls_session_t session;
};

/* ---- certificates ----------------------------------------------------------- */

static int load_trust(struct tls_context *tls, const struct options *opts)
{
	const char *ca = opts->tls_cacert ? opts->tls_cacert : DEFAULT_CA;
	const char *crl = opts->tls_cacrl ? opts->tls_cacrl : DEFAULT_CRL;
	int ret = gnutls_certificate_set_x509_trust_file(tls->credentials, ca, GNUTLS_X509_FMT_PEM);

	if (ret <= 0) {
		log_err("TLS: no certificate authority in %s: %s", ca,
			ret ? gnutls_strerror(ret) : "it is empty");
		return -EINVAL;
	}
	/* A list of revoked certificates is a must only if it was asked for. */
	if (!opts->tls_cacrl && access(crl, R_OK))
		return 0;
	ret = gnutls_certificate_set_x509_crl_file(tls->credentials, crl, GNUTLS_X509_FMT_PEM);
	if (ret >= 0)
		return 0;
	log_err("TLS: revocation list %s: %s", crl, gnutls_strerror(ret));
	return -EINVAL;
}

static int load_own(struct tls_context *tls, const struct options *opts)
{
	const char *cert = opts->tls_cert ? opts->tls_cert : DEFAULT_CERT;
	const char *key = opts->tls_key ? opts->tls_key : DEFAULT_KEY;
	int ret = gnutls_certificate_set_x509_key_file(tls->credentials, cert, key,
						       GNUTLS_X509_FMT_PEM);

	if (ret >= 0)
		return 0;
	log_err("TLS: certificate %s, key %s: %s", cert, key, gnutls_strerror(ret));
	return -EINVAL;
}

int tls_context_new(const struct options *opts, struct tls_context **out)
{
	struct tls_context *tls;
	int ret;

	*out = NULL;
	if (!opts->tls)
		return 0;
	tls = calloc(1, sizeof(*tls));
	if (!tls)
		return -ENOMEM;
	if (gnutls_certificate_allocate_credentials(&tls->credentials)) {
		free(tls);
		return -ENOMEM;
	}
	tls->ignores_name = opts->tls_no_cn_verify;
	ret = load_trust(tls, opts);
	if (!ret)
		ret = load_own(tls, opts);
	if (ret) {
		tls_context_free(tls);
		return ret;
	}
	*out = tls;
	return 0;
}

void tls_context_free(struct tls_context *tls)
{
	if (!tls)
		return;
	gnutls_certificate_free_credentials(tls->credentials);
	free(tls);
}

/* ---- sessions ---------------------------------------------------------------- */

static int set_up(struct tls_session *session, const struct tls_context *tls, int fd,
		  bool is_server, const char *host)
{
	gnutls_session_t peer = session->session;
	int ret = gnutls_set_default_priority(peer);

	if (!ret)
		ret = gnutls_credentials_set(peer, GNUTLS_CRD_CERTIFICATE, tls->credentials);
	if (ret)
		return ret;
	if (is_server)
		gnutls_certificate_server_set_request(peer, GNUTLS_CERT_REQUIRE);
	/* Makes the handshake verify the chain, and the name where one is expected. */
	gnutls_session_set_verify_cert(peer, is_server || tls->ignores_name ? NULL : host, 0);
	gnutls_transport_set_int(peer, fd);
	return 0;
}

static int wait_for(const struct tls_session *session, int fd, int timeout_ms)
{
	struct pollfd poll_fd = {
		.fd = fd,
		.events = gnutls_record_get_direction(session->session) ? POLLOUT : POLLIN,
	};
	int ret = poll(&poll_fd, 1, timeout_ms);

	if (ret < 0 && errno != EINTR)
		return -errno;
	return ret ? 0 : -ETIMEDOUT;
}

static void log_refusal(const struct tls_session *session, int error)
{
	gnutls_datum_t text;
	unsigned int status = gnutls_session_get_verify_cert_status(session->session);

	if (error == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR &&
	    !gnutls_certificate_verification_status_print(
		    status, gnutls_certificate_type_get(session->session), &text, 0)) {
		log_err("TLS: the peer's certificate is refused: %s", text.data);
		gnutls_free(text.data);
	} else {
		log_err("TLS: handshake: %s", gnutls_strerror(error));
	}
}

static int shake_hands(struct tls_session *session, int fd, int timeout_ms)
{
	int ret;

	while ((ret = gnutls_handshake(session->session)) < 0) {
		if (gnutls_error_is_fatal(ret)) {
			log_refusal(session, ret);
			return -EPROTO;
		}
		if (ret == GNUTLS_E_AGAIN) {
			ret = wait_for(session, fd, timeout_ms);
			if (ret)
				return log_ret(ret, "TLS: handshake");
		}
	}
	return 0;
}

int tls_session_new(const struct tls_context *tls, int fd, bool is_server, const char *host,
		    int timeout_ms, struct tls_session **out)
{
	struct tls_session *session = calloc(1, sizeof(*session));
	unsigned int flags = GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL;
	int ret;

	if (!session)
		return -ENOMEM;
	if (gnutls_init(&session->session, flags | (is_server ? GNUTLS_SERVER : GNUTLS_CLIENT))) {
		free(session);
		return -ENOMEM;
	}
	ret = set_up(session, tls, fd, is_server, host);
	if (ret) {
		log_err("TLS: %s", gnutls_strerror(ret));
		ret = -EINVAL;
	} else {
		ret = shake_hands(session, fd, timeout_ms);
	}
	if (ret) {
		gnutls_deinit(session->session);
		free(session);
		return ret;
	}
	*out = session;
	return 0;
}

void tls_session_free(struct tls_session *session)
{
	if (!session)
		return;
	gnutls_bye(session->session, GNUTLS_SHUT_WR); /* never waits: the socket does not block */
	gnutls_deinit(session->session);
	free(session);
}

static ssize_t result(ssize_t ret)
{
	switch (ret) {
	case GNUTLS_E_AGAIN:
	case GNUTLS_E_INTERRUPTED:
		return -EAGAIN;
	case GNUTLS_E_PREMATURE_TERMINATION:
	case GNUTLS_E_PUSH_ERROR:
	case GNUTLS_E_PULL_ERROR:
		return -EPIPE;
	default:
		return ret < 0 ? -EPROTO : ret;
	}
}

ssize_t tls_session_read(struct tls_session *session, void *buf, size_t len)
{
	return result(gnutls_record_recv(session->session, buf, len));
}

ssize_t tls_session_write(struct tls_session *session, const void *buf, size_t len)
{
	return result(gnutls_record_send(session->session, buf, len));
}

bool tls_session_has_pending(const struct tls_session *session)
{
	return gnutls_record_check_pending(session->session) > 0;
}
