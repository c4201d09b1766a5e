/* tests/bench/bare_h2o.c - the limit that ingest is measured against: libh2o, one HMAC-SHA256 over the body, an answer; no
 * parsing, no disk. bare_h2o PORT SECRET */
#include <arpa/inet.h>
#include <errno.h>
#include <h2o.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static h2o_globalconf_t config;
static const char *secret;
static int listener;

static int on_req(h2o_handler_t *self, h2o_req_t *req)
{
	unsigned char mac[32];
	unsigned int n = sizeof mac;
	static const char answer[] = "{\"ok\":true}";

	(void)self;
	HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)req->entity.base, req->entity.len, mac, &n);
	req->res.status = mac[0] == 1 && mac[1] == 2 ? 200 : 202;
	req->res.reason = "Accepted";
	req->res.content_length = sizeof answer - 1;
	req->http1_is_persistent = 0;           /* as pushrod does: a request with a body ends its connection */
	h2o_send_inline(req, answer, sizeof answer - 1);
	return 0;
}

struct loop {
	h2o_context_t ctx;
	h2o_accept_ctx_t accept;
};

static void on_accept(h2o_socket_t *sock, const char *err)
{
	struct loop *l = sock->data;
	h2o_socket_t *client;

	for (int i = 0; !err && i < 16 && (client = h2o_evloop_socket_accept(sock)); i++)
		h2o_accept(&l->accept, client);
}

static void *run(void *arg)
{
	struct loop *l = calloc(1, sizeof *l);
	(void)arg;
	h2o_context_init(&l->ctx, h2o_evloop_create(), &config);
	l->accept.ctx = &l->ctx;
	l->accept.hosts = config.hosts;
	h2o_socket_t *sock = h2o_evloop_socket_create(l->ctx.loop, dup(listener), H2O_SOCKET_FLAG_DONT_READ);
	sock->data = l;
	h2o_socket_read_start(sock, on_accept);
	while (h2o_evloop_run(l->ctx.loop, INT32_MAX) == 0 || errno == EINTR)
		;
	return NULL;
}

int main(int argc, char **argv)
{
	int on = 1;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	if (argc != 3)
		return 2;
	at.sin_port = htons((uint16_t)strtol(argv[1], NULL, 10));
	secret = argv[2];
	signal(SIGPIPE, SIG_IGN);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 1024) < 0) {
		perror("bind");
		return 1;
	}
	h2o_config_init(&config);
	h2o_hostconf_t *host = h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
	h2o_create_handler(h2o_config_register_path(host, "/", 0), sizeof(h2o_handler_t))->on_req = on_req;
	pthread_t second;
	pthread_create(&second, NULL, run, NULL);
	run(NULL);
	return 0;
}
