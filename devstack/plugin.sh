#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# DevStack plugin octavia-ovn: sourced by stack.sh with the phase as arguments, after the plugin of
# Octavia. It installs the driver from the checkout and writes its options; Octavia's plugin starts
# the services.

# Only where Octavia's API or octavia-driver-agent runs.
function octavia_ovn_is_needed {
    is_service_enabled o-api || is_service_enabled o-da
}

# Stop stack.sh, with a sentence, where the driver could not work.
function octavia_ovn_check {
    if [[ ",${DEVSTACK_PLUGINS:-}," == *,ovn-octavia-provider,* ]]; then
        die $LINENO "octavia-ovn takes the place of ovn-octavia-provider: enable one of these plugins"
    fi
    if [[ "${NEUTRON_AGENT:-${Q_AGENT:-ovn}}" != ovn ]]; then
        die $LINENO "octavia-ovn needs Neutron with OVN: set Q_AGENT=ovn"
    fi
}

function octavia_ovn_install {
    if [[ "$OCTAVIA_OVN_METRICS_PORT" != 0 ]]; then
        setup_develop "$OCTAVIA_OVN_DIR" metrics
    else
        setup_develop "$OCTAVIA_OVN_DIR"
    fi
}

# Write how to reach a database: nb or sb, at a remote.
function octavia_ovn_configure_database {
    local name=$1 remote=$2
    iniset "$OCTAVIA_CONF" ovn "ovn_${name}_connection" "$remote"
    if is_service_enabled tls-proxy; then
        iniset "$OCTAVIA_CONF" ovn "ovn_${name}_ca_cert" "$INT_CA_DIR/ca-chain.pem"
        iniset "$OCTAVIA_CONF" ovn "ovn_${name}_certificate" "$INT_CA_DIR/$DEVSTACK_CERT_NAME.crt"
        iniset "$OCTAVIA_CONF" ovn "ovn_${name}_private_key" "$INT_CA_DIR/private/$DEVSTACK_CERT_NAME.key"
    fi
}

function octavia_ovn_configure {
    local protocol=tcp
    if [[ ! -e "$OCTAVIA_CONF" ]]; then
        die $LINENO "$OCTAVIA_CONF is not there: in local.conf, enable_plugin octavia must come before octavia-ovn"
    fi
    if is_service_enabled tls-proxy; then
        protocol=ssl
    fi
    iniset "$OCTAVIA_CONF" api_settings enabled_provider_drivers "$OCTAVIA_PROVIDER_DRIVERS"
    iniset "$OCTAVIA_CONF" driver_agent enabled_provider_agents "$OCTAVIA_PROVIDER_AGENTS"
    octavia_ovn_configure_database nb "${OVN_NB_REMOTE:-$protocol:$SERVICE_HOST:6641}"
    octavia_ovn_configure_database sb "${OVN_SB_REMOTE:-$protocol:$SERVICE_HOST:6642}"
    if [[ "$OCTAVIA_OVN_METRICS_PORT" != 0 ]]; then
        iniset "$OCTAVIA_CONF" ovn metrics_port "$OCTAVIA_OVN_METRICS_PORT"
        iniset "$OCTAVIA_CONF" ovn metrics_address "$(ipv6_unquote "$SERVICE_HOST")"
    fi
}

if [[ "$1" == stack ]] && octavia_ovn_is_needed; then
    case "$2" in
        pre-install)
            octavia_ovn_check
            ;;
        install)
            echo_summary "Installing octavia-ovn"
            octavia_ovn_install
            ;;
        post-config)
            echo_summary "Configuring octavia-ovn"
            octavia_ovn_configure
            ;;
    esac
fi
