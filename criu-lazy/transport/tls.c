// SPDX-License-Identifier: GPL-2.0
#include "transport/tls.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "options/options.h"
#include "transport/tls_library.h"
#include "util/log.h"

#define DEFAULT_CA   "/etc/pki/CA/cacert.pem"
#define DEFAULT_CRL  "/etc/pki/CA/cacrl.pem"
#define DEFAULT_CERT "/etc/pki/criu/cert.pem"
#define DEFAULT_KEY  "/etc/pki/criu/private/key.pem"

struct tls_context {
	const struct tls_library *lib;
	gnutls_certificate_credentials_t credentials;
	bool ignores_name;
};

struct tls_session {
	const struct tls_library *lib;
	gnutls_session_t session;
};

/* ---- certificates ----------------------------------------------------------- */

static int load_trust(struct tls_context *tls, const struct options *opts)
{
	const char *ca = opts->tls_cacert ? opts->tls_cacert : DEFAULT_CA;
	const char *crl = opts->tls_cacrl ? opts->tls_cacrl : DEFAULT_CRL;
	int ret = tls->lib->gnutls_certificate_set_x509_trust_file(tls->credentials, ca,
								   GNUTLS_X509_FMT_PEM);

	if (ret <= 0) {
		log_err("TLS: no certificate authority in %s: %s", ca,
			ret ? tls->lib->gnutls_strerror(ret) : "it is empty");
		return -EINVAL;
	}
	/* A list of revoked certificates is a must only if it was asked for. */
	if (!opts->tls_cacrl && access(crl, R_OK))
		return 0;
	ret = tls->lib->gnutls_certificate_set_x509_crl_file(tls->credentials, crl,
							     GNUTLS_X509_FMT_PEM);
	if (ret >= 0)
		return 0;
	log_err("TLS: revocation list %s: %s", crl, tls->lib->gnutls_strerror(ret));
	return -EINVAL;
}

static int load_own(struct tls_context *tls, const struct options *opts)
{
	const char *cert = opts->tls_cert ? opts->tls_cert : DEFAULT_CERT;
	const char *key = opts->tls_key ? opts->tls_key : DEFAULT_KEY;
	int ret = tls->lib->gnutls_certificate_set_x509_key_file(tls->credentials, cert, key,
								 GNUTLS_X509_FMT_PEM);

	if (ret >= 0)
		return 0;
	log_err("TLS: certificate %s, key %s: %s", cert, key, tls->lib->gnutls_strerror(ret));
	return -EINVAL;
}

int tls_context_new(const struct options *opts, struct tls_context **out)
{
	const struct tls_library *lib;
	struct tls_context *tls;
	int ret;

	*out = NULL;
	if (!opts->tls)
		return 0;
	ret = tls_library_load(&lib);
	if (ret)
		return ret;
	tls = calloc(1, sizeof(*tls));
	if (!tls)
		return -ENOMEM;
	tls->lib = lib;
	if (lib->gnutls_certificate_allocate_credentials(&tls->credentials)) {
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
	tls->lib->gnutls_certificate_free_credentials(tls->credentials);
	free(tls);
}

/* ---- sessions ---------------------------------------------------------------- */

static int set_up(struct tls_session *session, const struct tls_context *tls, int fd,
		  bool is_server, const char *host)
{
	const struct tls_library *lib = session->lib;
	gnutls_session_t peer = session->session;
	int ret = lib->gnutls_set_default_priority(peer);

	if (!ret)
		ret = lib->gnutls_credentials_set(peer, GNUTLS_CRD_CERTIFICATE, tls->credentials);
	if (ret)
		return ret;
	if (is_server)
		lib->gnutls_certificate_server_set_request(peer, GNUTLS_CERT_REQUIRE);
	/* Makes the handshake verify the chain, and the name where one is expected. */
	lib->gnutls_session_set_verify_cert(peer, is_server || tls->ignores_name ? NULL : host, 0);
	lib->gnutls_transport_set_int2(peer, fd, fd);
	return 0;
}

static int wait_for(const struct tls_session *session, int fd, int timeout_ms)
{
	struct pollfd poll_fd = {
		.fd = fd,
		.events = session->lib->gnutls_record_get_direction(session->session) ? POLLOUT
										      : POLLIN,
	};
	int ret = poll(&poll_fd, 1, timeout_ms);

	if (ret < 0 && errno != EINTR)
		return -errno;
	return ret ? 0 : -ETIMEDOUT;
}

static void log_refusal(const struct tls_session *session, int error)
{
	const struct tls_library *lib = session->lib;
	gnutls_datum_t text;
	unsigned int status = lib->gnutls_session_get_verify_cert_status(session->session);

	if (error == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR &&
	    !lib->gnutls_certificate_verification_status_print(
		    status, lib->gnutls_certificate_type_get(session->session), &text, 0)) {
		log_err("TLS: the peer's certificate is refused: %s", text.data);
		lib->free_text(text.data);
	} else {
		log_err("TLS: handshake: %s", lib->gnutls_strerror(error));
	}
}

static int shake_hands(struct tls_session *session, int fd, int timeout_ms)
{
	const struct tls_library *lib = session->lib;
	int ret;

	while ((ret = lib->gnutls_handshake(session->session)) < 0) {
		if (lib->gnutls_error_is_fatal(ret)) {
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
	const struct tls_library *lib = tls->lib;
	unsigned int flags = GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL;
	int ret;

	if (!session)
		return -ENOMEM;
	session->lib = lib;
	if (lib->gnutls_init(&session->session,
			     flags | (is_server ? GNUTLS_SERVER : GNUTLS_CLIENT))) {
		free(session);
		return -ENOMEM;
	}
	ret = set_up(session, tls, fd, is_server, host);
	if (ret) {
		log_err("TLS: %s", lib->gnutls_strerror(ret));
		ret = -EINVAL;
	} else {
		ret = shake_hands(session, fd, timeout_ms);
	}
	if (ret) {
		lib->gnutls_deinit(session->session);
		free(session);
		return ret;
	}
	*out = session;
	return 0;
}

void tls_session_free(struct tls_session *session)
{
	const struct tls_library *lib;

	if (!session)
		return;
	lib = session->lib;
	/* Never waits: the socket does not block. */
	lib->gnutls_bye(session->session, GNUTLS_SHUT_WR);
	lib->gnutls_deinit(session->session);
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
	return result(session->lib->gnutls_record_recv(session->session, buf, len));
}

ssize_t tls_session_write(struct tls_session *session, const void *buf, size_t len)
{
	return result(session->lib->gnutls_record_send(session->session, buf, len));
}

bool tls_session_has_pending(const struct tls_session *session)
{
	return session->lib->gnutls_record_check_pending(session->session) > 0;
}
