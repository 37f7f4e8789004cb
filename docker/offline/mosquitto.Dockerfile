# Stands in for eclipse-mosquitto:2.1: the same user, folders, plugin paths and command.
FROM mqtt2go/offline-base
RUN groupadd --system --gid 1883 mosquitto \
  && useradd --system --uid 1883 --gid mosquitto --home-dir /var/empty --shell /usr/sbin/nologin mosquitto \
  && apt-get update -qq \
  && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq mosquitto mosquitto-clients \
  && for plugin in /usr/lib/*/mosquitto/*.so; do ln -s "$plugin" /usr/lib/; done \
  && mkdir -p /mosquitto/config /mosquitto/data /mosquitto/log \
  && printf 'listener 1883 127.0.0.1\nallow_anonymous false\n' >/mosquitto/config/mosquitto.conf \
  && chown -R mosquitto:mosquitto /mosquitto \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
VOLUME ["/mosquitto/data", "/mosquitto/log"]
EXPOSE 1883
CMD ["/usr/sbin/mosquitto", "-c", "/mosquitto/config/mosquitto.conf"]
