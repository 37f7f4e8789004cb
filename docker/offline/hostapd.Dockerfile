# hostapd without a radio, for the tests of plugins/network-join-hostapd; they build it themselves.
ARG BASE=mqtt2go/offline-base
FROM ${BASE}
RUN apt-get update -qq \
  && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends hostapd \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
CMD ["hostapd"]
