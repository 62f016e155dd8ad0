#!/bin/sh
# Builds the OCI image of Countersign: one static binary, the certificates of public
# authorities, and nothing else: no shell, no package manager, not root. The same commit gives
# the same image, with the same Go release and the same ca-certificates package.
#
#   deploy/container/build-image.sh OUT
#
# writes OUT/countersign.oci (an OCI layout) and OUT/countersign-image.tar (the same, to load).
# It needs Go, git, GNU tar and umoci (Debian: apt install umoci).
set -eu
umask 022
out=${1:?"say where: deploy/container/build-image.sh bin"}
root=$(cd "$(dirname "$0")/../.." && pwd)
version=${VERSION:-$(git -C "$root" describe --tags --always --dirty 2>/dev/null || echo unknown)}
epoch=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct)}
date=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)
arch=$(cd "$root" && ${GO:-go} env GOARCH)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

tree=$work/tree
mkdir -p "$tree/usr/bin" "$tree/etc/ssl/certs" "$tree/etc/countersign" "$tree/var/lib/countersign" "$tree/tmp"
(cd "$root" && CGO_ENABLED=0 ${GO:-go} build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$version" -o "$tree/usr/bin/countersign" ./cmd/countersign)
cp -L /etc/ssl/certs/ca-certificates.crt "$tree/etc/ssl/certs/"
echo 'countersign:x:65532:65532:Countersign:/var/lib/countersign:/sbin/nologin' >"$tree/etc/passwd"
echo 'countersign:x:65532:' >"$tree/etc/group"
chmod 1777 "$tree/tmp"
chmod 700 "$tree/var/lib/countersign"
chmod 644 "$tree/etc/ssl/certs/ca-certificates.crt" "$tree/etc/passwd" "$tree/etc/group"

layer=$work/layer.tar
alike="--sort=name --format=ustar --numeric-owner --mtime=@$epoch"
tar -C "$tree" $alike --owner=0 --group=0 --exclude=./var/lib/countersign -cf "$layer" .
tar -C "$tree" $alike --owner=65532 --group=65532 -rf "$layer" ./var/lib/countersign

mkdir -p "$out"
image=$out/countersign.oci
rm -rf "$image"
umoci init --layout "$image"
umoci new --image "$image:latest"
umoci raw add-layer --image "$image:latest" --history.created "$date" --history.created_by deploy/container/build-image.sh "$layer"
umoci config --image "$image:latest" --no-history --created "$date" --os linux --architecture "$arch" \
	--config.user 65532:65532 --config.workingdir /var/lib/countersign --config.volume /var/lib/countersign \
	--config.exposedports 8080/tcp --config.exposedports 1812/udp --config.stopsignal SIGTERM \
	--config.env COUNTERSIGN_CONFIG=/etc/countersign/countersign.yaml --config.env COUNTERSIGN_SERVER=/var/lib/countersign \
	--config.entrypoint /usr/bin/countersign --config.cmd serve \
	--config.label org.opencontainers.image.title=Countersign --config.label "org.opencontainers.image.version=$version"
umoci gc --layout "$image"
tar -C "$image" --sort=name --format=ustar --numeric-owner --mtime="@$epoch" --owner=0 --group=0 -cf "$out/countersign-image.tar" .
echo "$image: $(sed -n 's/.*"digest":"\([^"]*\)".*/\1/p' "$image/index.json")"
