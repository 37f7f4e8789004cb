# Stands in for rabbitmq:4: the same user name, folders and command. Debian's package has all of the plugins.
FROM mqtt2go/offline-base
RUN groupadd --system --gid 999 rabbitmq \
  && useradd --system --uid 999 --gid rabbitmq --home-dir /var/lib/rabbitmq --shell /bin/bash rabbitmq \
  && printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d \
  && apt-get update -qq \
  && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq rabbitmq-server \
  && rm -rf /usr/sbin/policy-rc.d /var/lib/apt/lists/* /var/cache/apt/* /var/lib/rabbitmq/mnesia/* \
    /var/lib/rabbitmq/.erlang.cookie \
  && mkdir -p /var/lib/rabbitmq /etc/rabbitmq /var/log/rabbitmq \
  && chown -R rabbitmq:rabbitmq /var/lib/rabbitmq /etc/rabbitmq /var/log/rabbitmq
ENV HOME=/var/lib/rabbitmq LANG=C.UTF-8 RABBITMQ_LOGS=-
USER rabbitmq
VOLUME ["/var/lib/rabbitmq"]
EXPOSE 5672 15672 1883 8883
CMD ["rabbitmq-server"]
