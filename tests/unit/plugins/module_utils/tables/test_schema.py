# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables have the original's columns and our keys, and a faulty row is told with its key, column and mend."""

from __future__ import annotations

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES, check_rows, check_table, live, merge_same

HEADERS = """
osimage: \
imagename,groups,profile,imagetype,description,provmethod,rootfstype,nfsrootopts,osdistroname,osupdatename,cfmdir,osname,osvers,osarch,\
synclists,postscripts,postbootscripts,serverrole,isdeletable,kitcomponents,environvar,comments,disable
linuximage: \
imagename,template,boottarget,addkcmdline,pkglist,pkgdir,otherpkglist,otherpkgdir,exlist,postinstall,rootimgdir,kerneldir,nodebootif,\
otherifce,netdrivers,kernelver,krpmver,permission,dump,crashkernelsize,partitionfile,driverupdatesrc,comments,disable
litefile: image,file,options,comments,disable
litetree: priority,image,directory,mntopts,comments,disable
statelite: node,image,statemnt,mntopts,comments,disable
noderes: \
node,servicenode,netboot,tftpserver,tftpdir,nfsserver,monserver,nfsdir,installnic,primarynic,discoverynics,cmdinterface,xcatmaster,\
current_osimage,next_osimage,nimserver,routenames,nameservers,proxydhcp,syslog,comments,disable
nodetype: node,os,arch,profile,provmethod,supportedarchs,nodetype,comments,disable
nodelist: node,groups,status,statustime,appstatus,appstatustime,primarysn,hidden,updatestatus,updatestatustime,zonename,comments,disable
nodegroup: groupname,grouptype,members,membergroups,wherevals,comments,disable
nodepos: node,rack,u,chassis,slot,room,height,comments,disable
nodehm: \
node,power,mgt,cons,termserver,termport,conserver,serialport,serialspeed,serialflow,getmac,cmdmapping,consoleondemand,consoleenabled,\
comments,disable
mac: node,interface,mac,comments,disable
hosts: node,ip,hostnames,otherinterfaces,comments,disable
networks: netname,net,mask,mgtifname,gateway,dhcpserver,tftpserver,nameservers,ntpservers,logservers,dynamicrange,staticrange,\
staticrangeincrement,nodehostname,ddnsdomain,vlanid,domain,mtu,comments,disable
bootparams: node,kernel,initrd,kcmdline,addkcmdline,dhcpstatements,adddhcpstatements,comments,disable
vpd: node,serial,mtm,side,asset,uuid,comments,disable
policy: priority,name,host,commands,noderange,parameters,time,rule,comments,disable
site: key,value,comments,disable
boottarget: bprofile,kernel,initrd,kcmdline,comments,disable
chain: node,currstate,currchain,chain,ondiscover,comments,disable
osdistro: osdistroname,basename,majorversion,minorversion,arch,type,dirpaths,comments,disable
postscripts: node,postscripts,postbootscripts,comments,disable
"""
ORIGINAL = dict(line.split(": ") for line in HEADERS.strip().splitlines())
LITEFILE = TABLES["litefile"]


@pytest.mark.parametrize("name", ORIGINAL)
def test_columns_are_the_originals_in_its_order(name):
    assert ",".join(column.name for column in TABLES[name].columns if not column.ours) == ORIGINAL[name]


def test_no_table_but_those_of_the_site():
    assert sorted(TABLES) == sorted(ORIGINAL)


@pytest.mark.parametrize(
    ("name", "key"), [("statelite", ("node", "image")), ("litetree", ("priority", "image")), ("networks", ("net", "mask"))]
)
def test_keys_lose_no_rows(name, key):
    assert TABLES[name].key == key


def test_our_own_columns_are_marked():
    ours = {(table.name, column.name) for table in TABLES.values() for column in table.columns if column.ours}
    assert ours == {("osimage", "liteattach"), ("linuximage", "scriptlets"), ("litefile", "required"), ("litetree", "required")}


def test_every_column_says_what_it_is():
    assert [column.name for table in TABLES.values() for column in table.columns if not column.text.endswith(".")] == []


@pytest.mark.parametrize("name", ["litefile", "litetree", "statelite"])
def test_a_blank_image_and_all_are_one_key(name):
    table = TABLES[name]
    row = dict.fromkeys(table.key, "x")
    assert table.key_of({**row, "image": ""}) == table.key_of({**row, "image": "ALL"}) != table.key_of({**row, "image": "all"})


@pytest.mark.parametrize(
    ("text", "counts"), [("", True), ("0", True), ("no", True), ("nO", True), ("1", False), ("yes", False), ("true", False)]
)
def test_disable_hides_a_row_as_in_the_original(text, counts):
    assert live({"disable": text}) is counts


def test_all_faults_of_all_rows_are_told_at_once_with_key_column_and_mend():
    rows = [{"image": "x y", "file": "etc/a", "options": "TMPFS"}, {"image": "ALL"}, {"file": "/ok", "colour": "red"}]
    faults = check_rows(LITEFILE, rows, ["line 2", "line 3", "line 9"])
    assert [fault.where for fault in faults] == [
        "litefile x y etc/a (line 2): image",
        "litefile x y etc/a (line 2): file",
        "litefile x y etc/a (line 2): options",
        "litefile ALL '' (line 3): file",
        "litefile ALL /ok (line 9): colour",
    ]
    assert all(fault.what and fault.mend for fault in faults)


@pytest.mark.parametrize(
    ("table", "row", "column"),
    [
        ("litetree", {"priority": "one", "directory": "/x"}, "priority"),
        ("litetree", {"priority": "1", "directory": "x"}, "directory"),
        ("litetree", {"priority": "1", "directory": "s:/#CMD=echo hello#/z"}, "directory"),
        ("litetree", {"priority": "1", "directory": "10.0.0.1:/syncdirs/$nodetype.arch/\n$nodetype.profile"}, "directory"),
        ("litetree", {"priority": "1", "directory": "/x", "required": "maybe"}, "required"),
        ("statelite", {"node": "n1"}, "statemnt"),
        ("statelite", {"node": "n1", "statemnt": "s:/a/../b"}, "statemnt"),
        ("policy", {"priority": "4.7", "rule": "perhaps"}, "rule"),
        ("policy", {"priority": "4.7"}, "rule"),
        ("mac", {"node": "n1", "mac": "52:54:00:77:00"}, "mac"),
        ("hosts", {"node": "n1", "ip": "10.77.0.999"}, "ip"),
        ("networks", {"net": "10.77.0.0", "mask": "255.0.255.0"}, "mask"),
        ("networks", {"net": "10.77", "mask": "/24"}, "net"),
        ("networks", {"net": "10.77.0.0", "mask": "/24", "dynamicrange": "10.77.0.9"}, "dynamicrange"),
        ("osimage", {"imagename": "a/b"}, "imagename"),
        ("osimage", {"imagename": "i", "nfsrootopts": "vers=4.2,,hard"}, "nfsrootopts"),
        ("osimage", {"imagename": "i", "nfsrootopts": "vers=4.2, hard"}, "nfsrootopts"),
        ("osimage", {"imagename": "i", "nfsrootopts": "RW"}, "nfsrootopts"),
        ("osimage", {"imagename": "i", "nfsrootopts": "Defaults"}, "nfsrootopts"),
        ("osimage", {"imagename": "i", "rootfstype": "disk"}, "rootfstype"),
        ("osimage", {"imagename": "i", "liteattach": "both"}, "liteattach"),
        ("linuximage", {"imagename": "i", "permission": "rwx"}, "permission"),
        ("linuximage", {"imagename": "i", "rootimgdir": "install/x"}, "rootimgdir"),
        ("nodelist", {"node": "n1 n2"}, "node"),
        ("nodelist", {"node": "n1", "groups": "a,,b"}, "groups"),
        ("site", {"key": "liteattach", "value": "none"}, "value"),
        ("site", {"key": "xcatdport", "value": "70000"}, "value"),
        ("site", {"key": "litedisklabel", "value": "thirteen-long"}, "value"),
        ("site", {"key": "litedisklabel", "value": "a b"}, "value"),
        ("site", {"key": "litediskformat", "value": "vdb"}, "value"),
        ("site", {"key": "litediskformat", "value": "/dev/vdb,,/dev/vdc"}, "value"),
        ("site", {"key": "litediskformat", "value": "/dev/sd?"}, "value"),
        ("site", {"key": "litediskformat", "value": "/dev/../srv/file"}, "value"),
        ("site", {"key": "litediskformat", "value": "/srv/file"}, "value"),
        ("site", {"key": "litediskformat", "value": "/dev/disk/by-label/statelite"}, "value"),
        ("site", {"key": "litediskopts", "value": "noatime,ro"}, "value"),
        ("site", {"key": "litediskwait", "value": "1m"}, "value"),
        ("vpd", {"node": "n1", "uuid": "4c4c4544"}, "uuid"),
        ("vpd", {"node": "n1", "uuid": "../../../../../../../../../../../../"}, "uuid"),
        ("networks", {"net": "10.0.0.0", "mask": "/64"}, "mask"),
        ("networks", {"net": "fd00::", "mask": "255.255.255.0"}, "mask"),
        ("networks", {"net": "fd00::", "mask": "none"}, "mask"),
        ("noderes", {"node": "\u201cn1\u201d"}, "node"),
        ("nodepos", {"node": "n1", "room": "\u201ctokyo\u201d"}, "room"),
        ("nodepos", {"node": "n1", "disable": "False"}, "disable"),
    ],
)
def test_a_faulty_cell_is_refused(table, row, column):
    faults = check_rows(TABLES[table], [row])
    assert [fault.where.rpartition(": ")[2] for fault in faults] == [column]


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("litefile", {"image": "g1,g2", "file": "/etc/my file \u00fc:x/", "options": ""}),
        ("litetree", {"priority": "4.7", "directory": "$noderes.nfsserver:/syncdirs/$nodepos.room/$node$nodetype.arch"}),
        ("litetree", {"priority": "2", "directory": "[fd00::1]:/trees"}),
        ("networks", {"net": "fd00::", "mask": "/64"}),
        ("vpd", {"node": "n1", "uuid": "4C4C4544-0052-3510-8051-b7c04f4d3232"}),
        ("networks", {"net": "10.1.2.3", "mask": "255.255.0.0"}),
        ("statelite", {"node": "japan", "statemnt": "/nodedata/$node", "mntopts": "nolock,vers=3"}),
        ("mac", {"node": "n1", "mac": "52:54:00:77:00:11!n1|52-54-00-77-00-12!*NOIP*"}),
        ("mac", {"node": "compute", "mac": "|n(\\d+)|52:54:00:77:00:($1+10)|"}),
        ("hosts", {"node": "compute", "ip": "|n(\\d+)|10.77.0.($1+10)|"}),
        ("hosts", {"node": "n1", "ip": "fd00::11"}),
        ("networks", {"net": "10.77.0.0", "mask": "255.255.252.0", "dynamicrange": "10.77.0.100-10.77.0.200,10.77.1.1-10.77.1.9"}),
        ("policy", {"priority": "1", "name": "root", "rule": "Allow"}),
        ("osimage", {"imagename": "i", "nfsrootopts": "ro,vers=4.2,hard"}),
        ("site", {"key": "litedisklabel", "value": "statelite"}),
        (
            "site",
            {"key": "litediskformat", "value": "/dev/vdb, /dev/disk/by-path/pci-0000:00:05.0-ata-1.0,/dev/disk/by-id/wwn-0x5000-part2"},
        ),
        ("site", {"key": "litediskopts", "value": "noatime,nodev"}),
        ("site", {"key": "litediskwait", "value": "0"}),
        ("nodepos", {"node": "n1", "comments": "\u201cquoted\u201d\nin two lines"}),
    ],
)
def test_a_lawful_row_passes(table, row):
    assert check_rows(TABLES[table], [row]) == []


def test_two_rows_of_one_key_are_refused_when_they_differ_and_one_when_they_agree():
    agree = [{"image": "ALL", "file": "/a", "options": "ro"}, {"image": "", "file": "/a", "options": "ro"}]
    assert check_rows(LITEFILE, agree) == []
    assert merge_same(LITEFILE, agree) == [agree[0]]
    differ = [agree[0], {"file": "/a", "options": "con"}]
    assert [fault.what for fault in check_rows(LITEFILE, differ, ["line 2", "line 3"])] == [
        "line 2 has the same key and says something else"
    ]


@pytest.mark.parametrize(
    ("table", "rows", "clashes"),
    [
        ("litefile", [{"file": "/var/log/"}, {"image": "ALL", "file": "/var//log", "options": "ro"}], 1),
        ("litefile", [{"file": "/var/log/"}, {"image": "ALL", "file": "/var/log", "options": "link"}], 0),
        ("litefile", [{"file": "/var/log/"}, {"image": "img1", "file": "/var/log", "options": "ro"}], 0),
        ("litefile", [{"file": "/var/log/"}, {"image": "ALL", "file": "/var/log", "options": "ro", "disable": "1"}], 0),
        ("litetree", [{"priority": "1", "directory": "/a"}, {"priority": "1.0", "directory": "/b"}], 1),
        ("litetree", [{"priority": "1", "directory": "/a"}, {"priority": "1", "image": "img1", "directory": "/b"}], 0),
        ("policy", [{"priority": "4.7", "rule": "allow"}, {"priority": "4.70", "rule": "deny"}], 1),
        ("hosts", [{"node": "n1", "ip": "10.0.0.1"}, {"node": "n2", "ip": "10.0.0.1"}], 1),
        ("hosts", [{"node": "n1", "ip": "10.0.0.1"}, {"node": "n2", "ip": "10.0.0.1", "disable": "yes"}], 0),
        ("mac", [{"node": "n1", "mac": "52:54:00:77:00:aA"}, {"node": "n2", "mac": "52-54-00-77-00-Aa!n2"}], 1),
    ],
)
def test_rows_of_one_rank_that_clash_are_refused(table, rows, clashes):
    assert len(check_table(TABLES[table], rows)) == clashes
