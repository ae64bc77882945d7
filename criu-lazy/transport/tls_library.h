/* SPDX-License-Identifier: GPL-2.0 */
/*
 * GnuTLS, loaded when TLS is first asked for: linked, it and the libraries it needs would cost
 * every command more time at its start than all the rest of that start.
 */
#ifndef TRANSPORT_TLS_LIBRARY_H
#define TRANSPORT_TLS_LIBRARY_H

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

/* The functions that are used; their types are those of GnuTLS's headers. */
#define TLS_LIBRARY_FUNCTIONS(X)                        \
	X(gnutls_bye)                                   \
	X(gnutls_certificate_allocate_credentials)      \
	X(gnutls_certificate_free_credentials)          \
	X(gnutls_certificate_server_set_request)        \
	X(gnutls_certificate_set_x509_crl_file)         \
	X(gnutls_certificate_set_x509_key_file)         \
	X(gnutls_certificate_set_x509_trust_file)       \
	X(gnutls_certificate_type_get)                  \
	X(gnutls_certificate_verification_status_print) \
	X(gnutls_credentials_set)                       \
	X(gnutls_deinit)                                \
	X(gnutls_error_is_fatal)                        \
	X(gnutls_handshake)                             \
	X(gnutls_init)                                  \
	X(gnutls_record_check_pending)                  \
	X(gnutls_record_get_direction)                  \
	X(gnutls_record_recv)                           \
	X(gnutls_record_send)                           \
	X(gnutls_session_get_verify_cert_status)        \
	X(gnutls_session_set_verify_cert)               \
	X(gnutls_set_default_priority)                  \
	X(gnutls_strerror)                              \
	X(gnutls_transport_set_int2)

struct tls_library {
#define TLS_LIBRARY_FIELD(name) __typeof__(name) *name;
	TLS_LIBRARY_FUNCTIONS(TLS_LIBRARY_FIELD)
#undef TLS_LIBRARY_FIELD
	gnutls_free_function free_text; /* gnutls_free, for what the library allocated */
};

/*
 * Loads the library once for the process, from any thread; it stays loaded. -ELIBACC, logged, if
 * it is not installed or lacks a function.
 */
int tls_library_load(const struct tls_library **out);

#endif
