package devstack

import (
	"fmt"
	"os"
	"path/filepath"
)

// readerUser is the user of ReaderDSN. Users are in the configuration because a server from the package has no storage
// that CREATE USER could write to.
const readerUser = "reader"

// clickhouseConfig is config.xml, to be filled in with the path of users.xml.
const clickhouseConfig = `<clickhouse>
  <users_config>%[1]s</users_config>
  <user_directories><users_xml><path>%[1]s</path></users_xml></user_directories>
</clickhouse>
`

// clickhouseUsers is users.xml, to be filled in with a name and a password.
const clickhouseUsers = `<clickhouse>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users>
    <default>
      <password/>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <access_management>1</access_management>
      <named_collection_control>1</named_collection_control>
    </default>
    <%[1]s>
      <password>%[2]s</password>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <grants><query>GRANT SELECT, SHOW ON *.*</query></grants>
    </%[1]s>
  </users>
</clickhouse>
`

// writeClickHouseConfig writes config.xml and users.xml into dir and returns the reader's password.
func writeClickHouseConfig(dir string) (string, error) {
	password, users := randomHex(16), filepath.Join(dir, "users.xml")
	for path, content := range map[string]string{
		filepath.Join(dir, "config.xml"): fmt.Sprintf(clickhouseConfig, users),
		users:                            fmt.Sprintf(clickhouseUsers, readerUser, password),
	} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return "", fmt.Errorf("writing the configuration: %w", err)
		}
	}
	return password, nil
}
